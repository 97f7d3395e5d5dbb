// Which of llama.cpp's sequences answers next: the free one that already holds most of the prompt, half of it at least, else the one unused for longest.
import type { Token } from 'node-llama-cpp';

export interface Slot<S> {
  readonly sequence: S;
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
  tenant: string | undefined;
  usedAt: number;
}

/** With at most 64 sequences a comparison with each is some microseconds; a radix tree over their tokens would find the same one. */
export function slotsOf<S>(sequences: readonly S[], held: (sequence: S) => readonly Token[]): Slots<S> {
  const free = new Set<Place<S>>(sequences.map((sequence) => ({ sequence, tenant: undefined, usedAt: 0 })));
  const taken = new Map<Slot<S>, Place<S>>();
  let clock = 0;
  return {
    get free() {
      return free.size;
    },
    take: (tenant, prompt) => {
      let best: Place<S> | undefined;
      let bestShared = 0;
      let oldest: Place<S> | undefined;
      for (const place of free) {
        if (!oldest || place.usedAt < oldest.usedAt) oldest = place;
        const shared = place.tenant === tenant ? sharedPrefix(held(place.sequence), prompt) : 0;
        if (shared > bestShared || (shared > 0 && shared === bestShared && best && place.usedAt < best.usedAt)) {
          best = place;
          bestShared = shared;
        }
      }
      // A beginning that all prompts share would else bring them all to one place, each wiping out what the one before left.
      if (2 * bestShared < prompt.length) best = oldest;
      if (!best) throw new RangeError('no sequence is free');
      free.delete(best);
      const slot: Slot<S> = { sequence: best.sequence, foreign: best.tenant !== undefined && best.tenant !== tenant };
      best.tenant = tenant;
      taken.set(slot, best);
      return slot;
    },
    give: (slot) => {
      const place = taken.get(slot);
      if (!place) return;
      taken.delete(slot);
      place.usedAt = ++clock;
      free.add(place);
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
