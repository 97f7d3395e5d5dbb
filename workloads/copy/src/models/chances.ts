// The chance of each token waits until its text is passed on: what is held back, because a stop text may begin there, may never be.
import type { Chances, TokenChance } from './model.ts';

export interface HeldChances {
  add: (chance: TokenChance) => void;
  /** Tells those that begin within the first `passed` characters. */
  release: (passed: number) => void;
}

export function heldChances(chances: Chances | undefined): HeldChances {
  const waiting: TokenChance[] = [];
  return {
    add: (chance) => void waiting.push(chance),
    release: (passed) => {
      while (waiting[0] && waiting[0].offset < passed) {
        const chance = waiting.shift() as TokenChance;
        chances?.tokens.push(chance);
      }
    },
  };
}
