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

/** Waits for the next minute where this one is nearly over: what is counted by the minute is then counted in one. */
export async function withinMinute(): Promise<void> {
  const left = 60_000 - (Date.now() % 60_000);
  if (left < 5000) await new Promise((resolve) => setTimeout(resolve, left + 50));
}
