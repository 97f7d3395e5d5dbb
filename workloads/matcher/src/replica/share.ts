// Where an item lies in [0, 1) by its content, for banks of which only a share is in force: the same on every replica
// and in every pool, and an item that is in force at one share is so at every larger one.
import type { Profile } from '../profile/similarity.ts';

export function ofHash(hash: Uint8Array): number {
  return uniform(hash);
}

/** Of an item without an image. */
export function ofProfile({ name = '', aliases = [], attributes = {} }: Profile = {}): number {
  const sorted = Object.keys(attributes).sort((a, b) => (a < b ? -1 : 1));
  return uniform(Buffer.from(JSON.stringify([name, aliases, sorted.map((key) => [key, attributes[key]])])));
}

/** FNV-1a, its bits mixed. */
function uniform(bytes: Uint8Array): number {
  let state = 0x811c9dc5;
  for (const byte of bytes) state = Math.imul(state ^ byte, 0x01000193);
  state ^= state >>> 15;
  state = Math.imul(state, 0x2c1b3c6d);
  return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
}
