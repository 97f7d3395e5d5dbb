// Ctrl-C: the first asks the work to end, a second ends it at once.

export interface Interrupts {
  /** Aborted by the first. */
  readonly signal: AbortSignal;
  stopListening: () => void;
}

/** The same Ctrl-C may come twice: from the terminal, and from the process that started this one. */
const sameMs = 1000;

export function interrupts(reason?: Error): Interrupts {
  const stop = new AbortController();
  let first = 0;
  const interrupt = (): void => {
    if (!stop.signal.aborted) first = performance.now();
    else if (performance.now() - first > sameMs) process.exit(130);
    stop.abort(reason);
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  return {
    signal: stop.signal,
    stopListening: () => process.off('SIGINT', interrupt).off('SIGTERM', interrupt),
  };
}
