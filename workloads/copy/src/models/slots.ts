// Which of llama.cpp's sequences answers next: the free one that already holds most of the prompt, half of it at least, else one beside those in work.
import type { Token } from 'node-llama-cpp';

export interface Slot<S> {
  readonly sequence: S;
  /** The sequence's place among all. */
  readonly index: number;
  /** The state in it is another tenant's: it must be cleared, or an answer's speed would tell what others ask. */
  readonly foreign: boolean;
}

export interface Slots<S> {
  /** Throws when none is free: the caller lets no more in than there are. */
  take: (tenant: string, prompt: readonly Token[]) => Slot<S>;
  give: (slot: Slot<S>) => void;
  readonly free: number;
}

interface Place<S> {
  sequence: S;
  index: number;
  free: boolean;
  tenant: string | undefined;
  usedAt: number;
}

/** With at most 64 sequences a comparison with each is some microseconds; a radix tree over their tokens would find the same one. */
export function slotsOf<S>(sequences: readonly S[], held: (sequence: S) => readonly Token[]): Slots<S> {
  const places = sequences.map(
    (sequence, index): Place<S> => ({ sequence, index, free: true, tenant: undefined, usedAt: 0 }),
  );
  const taken = new Map<Slot<S>, Place<S>>();
  let clock = 0;
  /** Of what is computed in one batch llama.cpp joins only sequences that follow each other; each gap between them is one more pass over all weights. */
  const neighbours = ({ index }: Place<S>): number =>
    Number(places[index - 1]?.free === false) + Number(places[index + 1]?.free === false);
  const isNearer = (a: Place<S>, b: Place<S>): boolean => (neighbours(a) - neighbours(b) || b.usedAt - a.usedAt) > 0;
  return {
    get free() {
      return places.length - taken.size;
    },
    take: (tenant, prompt) => {
      let best: Place<S> | undefined;
      let bestShared = 0;
      let nearest: Place<S> | undefined;
      for (const place of places) {
        if (!place.free) continue;
        if (!nearest || isNearer(place, nearest)) nearest = place;
        const shared = place.tenant === tenant ? sharedPrefix(held(place.sequence), prompt) : 0;
        if (shared > bestShared || (shared > 0 && shared === bestShared && best && isNearer(place, best))) {
          best = place;
          bestShared = shared;
        }
      }
      // A beginning that all prompts share would else bring them all to one place, each wiping out what the one before left.
      if (2 * bestShared < prompt.length) best = nearest;
      if (!best) throw new RangeError('no sequence is free');
      best.free = false;
      const { sequence, index } = best;
      const slot: Slot<S> = { sequence, index, foreign: best.tenant !== undefined && best.tenant !== tenant };
      best.tenant = tenant;
      taken.set(slot, best);
      return slot;
    },
    give: (slot) => {
      const place = taken.get(slot);
      if (!place) return;
      taken.delete(slot);
      place.usedAt = ++clock;
      place.free = true;
    },
  };
}

/** How many tokens both begin with. */
export function sharedPrefix(a: readonly Token[], b: readonly Token[]): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a[at] === b[at]) at++;
  return at;
}
