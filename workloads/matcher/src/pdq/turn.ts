// The hashes of an image turned and mirrored, from its hash alone. A coefficient of the transform keeps its size and may
// change its sign and place, so its bit is kept or inverted: exact but for the few that lie between the median and zero.
import type { Variant } from './pdq.ts';

/** Whether a bit is inverted by its row and column, and whether rows and columns change places. */
const turns: Readonly<Record<Variant, readonly [inverts: (row: number, column: number) => boolean, swaps: boolean]>> = {
  Original: [() => false, false],
  Rotate90: [(_, column) => column % 2 === 0, true],
  Rotate180: [(row, column) => (row + column) % 2 === 1, false],
  Rotate270: [(row) => row % 2 === 0, true],
  FlipX: [(row) => row % 2 === 0, false],
  FlipY: [(_, column) => column % 2 === 0, false],
  FlipDiagonal: [() => false, true],
  FlipAntidiagonal: [(row, column) => (row + column) % 2 === 1, true],
};

export function turned(hash: Uint8Array, variant: Variant): Uint8Array {
  const [inverts, swaps] = turns[variant];
  const out = new Uint8Array(32);
  for (let row = 0; row < 16; row++) {
    for (let column = 0; column < 16; column++) {
      const [from, bit] = place(row, column);
      const value = (((hash[from] as number) >> bit) & 1) ^ Number(inverts(row, column));
      const [to, at] = swaps ? place(column, row) : place(row, column);
      out[to] = (out[to] as number) | (value << at);
    }
  }
  return out;
}

/** Byte and bit of a coefficient: sixteen bits a row, from the last row to the first, the upper byte first. */
function place(row: number, column: number): [byte: number, bit: number] {
  return [2 * (15 - row) + (column < 8 ? 1 : 0), column & 7];
}
