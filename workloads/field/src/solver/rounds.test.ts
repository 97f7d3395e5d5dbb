import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { complexMatrix, complexVector } from './matrix.ts';
import { kernelRounds, plainRounds } from './rounds.ts';

describe('rounds by the kernel', () => {
  it('are those of the plain matrices, whatever the shape', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 1, max: 1000 }),
        (rows, columns, seed) => {
          const loud = complexMatrix(rows, columns);
          for (let i = 0; i < loud.re.length; i++) {
            loud.re[i] = Math.cos(seed * (i + 1) ** 2);
            loud.im[i] = Math.sin(3 * seed * (i + 1) ** 2);
          }
          const y = complexVector(rows);
          for (let j = 0; j < rows; j++) [y.re[j], y.im[j]] = [Math.cos(seed + j), Math.sin(seed * j)];
          const both = [kernelRounds(loud)!, plainRounds(loud, () => {})].map((rounds) => {
            const b = complexVector(rows);
            rounds.backward(y);
            const { re, im } = rounds.drive();
            const raw = [...re, ...im];
            rounds.forward(b);
            return [...raw, ...b.re, ...b.im];
          });
          const most = Math.max(...both[1]!.map(Math.abs));
          for (const [i, each] of both[0]!.entries()) expect(Math.abs(each - both[1]![i]!) / most).toBeLessThan(1e-3);
        },
      ),
    );
  });

  it('are left to plain matrices where 32 bits more of each number would count as memory', () => {
    expect(
      kernelRounds({ rows: 64, columns: 131_072, re: new Float64Array(0), im: new Float64Array(0) }),
    ).toBeUndefined();
  });
});
