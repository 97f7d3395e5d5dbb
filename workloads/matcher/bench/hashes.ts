// Hashes that are skewed as real ones are, and queries near them; the same seed gives the same.
import type { Random } from './pictures.ts';

/** Half of them near one of a thousand centres, by a power law. */
export function skewed(count: number, next: Random): Uint8Array {
  const hashes = new Uint8Array(32 * count);
  for (let i = 0; i < hashes.length; i++) hashes[i] = next() * 256;
  const centres = 1000;
  for (let i = centres; i < count; i += 2) {
    const centre = Math.floor(centres * next() ** 3);
    hashes.copyWithin(32 * i, 32 * centre, 32 * centre + 32);
    flip(hashes.subarray(32 * i, 32 * i + 32), 20 + Math.floor(next() * 80), next);
  }
  return hashes;
}

/** Near an item, up to 40 bits away. */
export function query(hashes: Uint8Array, count: number, next: Random): Uint8Array {
  const at = Math.floor(next() * count);
  const hash = hashes.slice(32 * at, 32 * at + 32);
  flip(hash, Math.floor(next() * 40), next);
  return hash;
}

function flip(hash: Uint8Array, bits: number, next: Random): void {
  for (let i = 0; i < bits; i++) {
    const bit = Math.floor(next() * 256);
    hash[bit >> 3] = (hash[bit >> 3] as number) ^ (1 << (bit & 7));
  }
}
