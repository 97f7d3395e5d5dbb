// The memory that answers' state may take, shared by a model and its adapters.
import { QuintetError } from '@quintet/runtime';

export interface StateSize {
  /** Bytes that a context takes with no sequences. */
  fixed: number;
  /** Bytes of each sequence. */
  each: number;
  /** Sequences that are wanted. */
  most: number;
}

export interface StateMemory {
  /**
   * As many sequences as fit into one share, or one where what is left is less than a share. The first context has always one. Throws `NOT_READY` where
   * nothing is left.
   */
  take: (size: StateSize) => { sequences: number; give: () => void };
}

/** @param shares Contexts that are expected. */
export function stateMemory(total: number, shares: number): StateMemory {
  let taken = 0;
  let contexts = 0;
  return {
    take: ({ fixed, each, most }) => {
      const left = total - taken;
      const fit = Math.floor((Math.min(total / shares, left) - fixed) / each);
      if (contexts > 0 && left < fixed + each)
        throw new QuintetError('NOT_READY', {
          reason: 'no memory is left for its answers beside those that serve; pods that start anew share it anew',
        });
      const sequences = Math.max(1, Math.min(most, fit));
      const bytes = fixed + sequences * each;
      taken += bytes;
      contexts++;
      let open = true;
      return {
        sequences,
        give: () => {
          if (!open) return;
          open = false;
          taken -= bytes;
          contexts--;
        },
      };
    },
  };
}
