// Items for tests, told apart by a seed.
import type { NewItem } from '../record/record.ts';

export function item(id: string, seed: number): NewItem {
  return { id, bank: 'faces', hash: hashOf(seed), quality: 100 };
}

export function hashOf(seed: number): Uint8Array {
  let state = Math.imul(seed + 1, 2_654_435_761) | 1;
  return Uint8Array.from({ length: 32 }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 255;
  });
}
