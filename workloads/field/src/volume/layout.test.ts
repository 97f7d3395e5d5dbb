import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkBlock, chunkCount, coordinate, layOut, pointsOf, shardChunks } from './layout.ts';

const sizes = fc.tuple(
  fc.integer({ min: 0, max: 90 }),
  fc.integer({ min: 0, max: 90 }),
  fc.integer({ min: 0, max: 90 }),
);

describe('the layout of a volume', () => {
  it('covers every point exactly once by the chunks of the shards, however many', () => {
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 200 }), (steps, wanted) => {
        const volume = layOut(
          [0, 0, 0.1],
          steps.map((n) => n * 1e-3),
          1e-3,
        );
        const shards = Math.min(wanted, chunkCount(volume));
        const seen = new Uint8Array(pointsOf(volume));
        let next = 0;
        for (let shard = 0; shard < shards; shard++) {
          const { from, to } = shardChunks(volume, shard, shards);
          expect(from).toBe(next);
          expect(to).toBeGreaterThan(from);
          next = to;
          for (let chunk = from; chunk < to; chunk++) mark(seen, volume.shape, chunkBlock(volume, chunk));
        }
        expect(next).toBe(chunkCount(volume));
        expect(seen.every((times) => times === 1)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('holds both ends of a size that is a whole number of spacings', () => {
    const volume = layOut([0, 0, 0.06], [0.08, 0.08, 0.08], 0.0005);
    expect(volume.shape).toEqual([161, 161, 161]);
    expect(coordinate(volume, 0, 0)).toBeCloseTo(0.02, 12);
    expect(coordinate(volume, 2, 160)).toBeCloseTo(0.04, 12);
  });

  it('takes a plane and a single point', () => {
    expect(layOut([0, 0, 0.06], [0.01, 0, 0.01], 0.001).shape).toEqual([11, 1, 11]);
    expect(layOut([0, 0, 0.06], [0, 0, 0], 0.001).first).toEqual([0.06, 0, 0]);
  });

  it.each([
    { title: 'no spacing', size: [0.1, 0.1, 0.1], spacing: 0, message: /spacing/ },
    { title: 'a size that is no number', size: [0.1, Number.NaN, 0.1], spacing: 0.001, message: /finite/ },
    {
      title: 'more points than can be counted',
      size: [1e3, 1e3, 1e3],
      spacing: 1e-6,
      message: /more than any machine/,
    },
  ])('refuses $title', ({ size, spacing, message }) => {
    expect(() => layOut([0, 0, 0], size, spacing)).toThrow(message);
  });
});

function mark(seen: Uint8Array, [, ny, nx]: readonly number[], { start, shape }: ReturnType<typeof chunkBlock>): void {
  for (let z = 0; z < shape[0]; z++) {
    for (let y = 0; y < shape[1]; y++) {
      const row = ((start[0] + z) * ny! + start[1] + y) * nx! + start[2];
      for (let x = 0; x < shape[2]; x++) seen[row + x]!++;
    }
  }
}
