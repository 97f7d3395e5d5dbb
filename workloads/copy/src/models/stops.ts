// Ends a text at the first of several stop texts, also when it comes in pieces: what may be the beginning of one is held back.

export interface StopScanner {
  /** What of the text so far may be passed on; `stopped` once a stop text came, after which nothing more is passed on. */
  push: (piece: string) => { text: string; stopped: boolean };
  /** What was held back, when the text has ended without a stop text. */
  end: () => string;
}

export function stopScanner(stops: readonly string[]): StopScanner {
  const wanted = stops.filter((stop) => stop !== '');
  let held = '';
  let stopped = false;
  return {
    push: (piece) => {
      if (stopped) return { text: '', stopped };
      held += piece;
      const at = Math.min(...wanted.map((stop) => indexOr(held, stop)));
      if (at < Number.POSITIVE_INFINITY) {
        stopped = true;
        const text = held.slice(0, at);
        held = '';
        return { text, stopped };
      }
      const keep = Math.max(0, ...wanted.map((stop) => overlap(held, stop)));
      const text = held.slice(0, held.length - keep);
      held = held.slice(held.length - keep);
      return { text, stopped };
    },
    end: () => {
      const rest = stopped ? '' : held;
      held = '';
      return rest;
    },
  };
}

function indexOr(text: string, stop: string): number {
  const at = text.indexOf(stop);
  return at === -1 ? Number.POSITIVE_INFINITY : at;
}

/** Length of the longest end of `text` that `stop` begins with. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
