import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { featuresOfRows } from '../data/features.ts';
import { type Problem, problemOf } from '../data/problem.ts';
import { readTableText } from '../data/table.ts';
import { randomOf } from '../random.ts';
import { fitPreprocessing, type PreprocessingGenes } from './fit.ts';
import type { InnerSplit } from './innerFolds.ts';
import { quantile } from './statistics.ts';
import { type Step, transform } from './steps.ts';

const genes: PreprocessingGenes = {
  impute: 'Median',
  indicate: 'Yes',
  scale: 'Standard',
  encode: 'Target',
  smoothing: 5,
  select: 0.7,
  interactions: 3,
};
const every: Partial<PreprocessingGenes>[] = [
  {},
  { encode: 'OneHot', scale: 'Robust', impute: 'Mean' },
  { encode: 'Ordinal', scale: 'Log', indicate: 'No' },
  { impute: 'None', scale: 'None', select: 1, interactions: 0 },
];

async function problem(rows = 120) {
  const random = randomOf('data');
  const text = Array.from(
    { length: rows },
    (_, i) =>
      `${i % 9 === 0 ? '' : random.normal()},${random.normal() * 50},c${random.int(40)},${random.int(2) === 0 ? 'x' : 'y'},${random.int(2)}`,
  );
  return problemOf(await readTableText(`a,b,many,few,y\n${text.join('\n')}`, { categorical: ['y'] }), {
    target: 'y',
    task: 'Binary',
  }).problem;
}

describe('preprocessing', () => {
  it('learns nothing from rows that it is not taught, neither their cells nor their targets', async () => {
    const data = await problem();
    const train = Int32Array.from({ length: 80 }, (_, i) => i);
    fc.assert(
      fc.property(fc.constantFrom(...every), fc.double({ min: -1e6, max: 1e6, noNaN: true }), (some, value) => {
        const other = {
          ...data,
          y: data.y.map((y, i) => (i < 80 ? y : 1 - y)),
          features: data.features.map((feature) => ({
            ...feature,
            ...(feature.values ? { values: feature.values.map((cell, i) => (i < 80 ? cell : value)) } : {}),
            ...(feature.codes ? { codes: feature.codes.map((cell, i) => (i < 80 ? cell : -1)) } : {}),
          })),
        };
        expect(fitPreprocessing(other, train, { ...genes, ...some }, 1)).toEqual(
          fitPreprocessing(data, train, { ...genes, ...some }, 1),
        );
      }),
    );
  });

  it('does not encode a teaching row by its own target', async () => {
    const data = await problem();
    const rows = Int32Array.from({ length: 120 }, (_, i) => i);
    const turned = { ...data, y: data.y.map((y, i) => (i === 7 ? 1 - y : y)) };
    const row = (of: typeof data) => {
      const { matrix } = fitPreprocessing(of, rows, { ...genes, select: 1, interactions: 0 }, 3);
      return matrix.data.slice(7 * matrix.columns, 8 * matrix.columns);
    };
    const before = row(data);
    for (const [j, cell] of row(turned).entries()) expect(cell).toBeCloseTo(before[j]!, 6);
  });

  it.each(['Standard', 'Robust', 'Log'] as const)('keeps the largest number there is finite (%s)', async (scale) => {
    const random = randomOf('rates');
    const rates = Array.from({ length: 60 }, () => `${0.5 + 0.01 * random.normal()},${random.int(2)}`);
    const table = await readTableText(`rate,y\n${rates.join('\n')}`, { categorical: ['y'] });
    const data = problemOf(table, { target: 'y', task: 'Binary' }).problem;
    const { preprocessing } = fitPreprocessing(
      data,
      Int32Array.from({ length: 60 }).map((_, i) => i),
      { ...genes, scale },
      1,
    );
    const far = [{ ...data.features[0]!, values: Float32Array.of(3.4028235e38, -3.4028235e38, 0.6) }];
    const { data: cells } = transform(preprocessing, far, Int32Array.of(0, 1, 2));
    expect(cells.every(Number.isFinite)).toBe(true);
    expect(cells[1]).toBeLessThan(cells[2]!);
    expect(cells[2]).toBeLessThanOrEqual(cells[0]!);
  });

  it('has the order of levels on the scale of all other columns, and as it is where none has one', async () => {
    const data = await problem();
    const words = { ...data, features: data.features.filter((feature) => feature.name === 'many') };
    const orders = (scale: PreprocessingGenes['scale']) => {
      const some = { ...genes, scale, encode: 'Ordinal', select: 1, interactions: 0 } as const;
      return [...fitPreprocessing(words, Int32Array.from(data.y.keys()), some, 1).matrix.data];
    };
    const plain = orders('None');
    expect([Math.min(...plain), plain.every(Number.isInteger)]).toEqual([0, true]);
    const scaled = orders('Standard');
    expect(scaled.reduce((sum, cell) => sum + cell, 0)).toBeCloseTo(0, 3);
    expect(scaled.reduce((sum, cell) => sum + cell ** 2, 0) / scaled.length).toBeCloseTo(1, 3);
  });

  it('gives new levels the prior and keeps gaps when nothing fills them', async () => {
    const data = await problem();
    const train = Int32Array.from({ length: 100 }, (_, i) => i);
    const { preprocessing } = fitPreprocessing(
      data,
      train,
      { ...genes, impute: 'None', scale: 'None', select: 1, interactions: 0 },
      1,
    );
    // As a model meets them at prediction.
    const rows = [Object.fromEntries(data.features.map(({ column, codes }) => [column, codes ? 'never seen' : null]))];
    const unseen = featuresOfRows(data.features, rows, () => undefined);
    const { data: cells } = transform(preprocessing, unseen, Int32Array.of(0));
    const prior = train.reduce((sum, row) => sum + data.y[row]!, 0) / 100;
    expect(Number.isNaN(cells[0])).toBe(true);
    expect([...cells].filter((cell) => Math.abs(cell - prior) < 1e-6)).toHaveLength(2);
  });
});

describe('weights of rows', () => {
  const all = (rows: number) => Int32Array.from({ length: rows }, (_, i) => i);

  it('that are all the same change nothing, whatever their unit', async () => {
    const data = await problem();
    for (const some of every) {
      const weighed = { ...data, weights: new Float64Array(120).fill(7) };
      expect(fitPreprocessing(weighed, all(120), { ...genes, ...some }, 1)).toEqual(
        fitPreprocessing(data, all(120), { ...genes, ...some }, 1),
      );
    }
  });

  it('count as so many rows in fills, scales, encodings and selection', async () => {
    const data = await problem();
    const weights = Float64Array.from({ length: 120 }, (_, i) => 1 + (i % 3));
    const repeated = all(120).reduce<number[]>(
      (rows, row) => [...rows, ...new Array<number>(weights[row]!).fill(row)],
      [],
    );
    // Smoothing counts rows, of which there are more when they are repeated; and chance deals folds of encodings, which selection looks at.
    const whole = { ...genes, impute: 'Mean', smoothing: 1e-9, select: 1, interactions: 0 } as const;
    for (const some of [whole, { ...whole, encode: 'Ordinal', select: 0.7, interactions: 3 } as const]) {
      const { preprocessing } = fitPreprocessing({ ...data, weights }, all(120), some, 1);
      const { preprocessing: wanted } = fitPreprocessing(data, Int32Array.from(repeated), some, 1);
      expect(preprocessing.outputs).toEqual(wanted.outputs);
      expect(preprocessing.steps).toHaveLength(wanted.steps.length);
      for (const [i, number] of numbersOf(wanted.steps).entries())
        expect(numbersOf(preprocessing.steps)[i]).toBeCloseTo(number, 5);
    }
  });

  it('move the median and the spread towards rows that count more', () => {
    const values = Float64Array.of(1, 2, 3, 4, 5);
    const at = (share: number, weights?: number[]) =>
      quantile({ values, weights: weights && Float64Array.from(weights) }, share);
    expect(at(0.5, [1, 1, 1, 1, 1])).toBe(at(0.5));
    expect(at(0.3, [1, 1, 1, 1, 1])).toBeCloseTo(at(0.3), 12);
    expect(at(0.5, [4.6, 0.1, 0.1, 0.1, 0.1])).toBeLessThan(1.2);
    expect(at(0.5, [0.1, 0.1, 0.1, 0.1, 4.6])).toBeGreaterThan(4.8);
  });

  it('give the same quantiles in any unit, rising with their share', () => {
    const values = Float64Array.from({ length: 10 }, (_, i) => i + 1);
    for (const weight of [1e-6, 0.05, 0.3, 1, 40])
      for (const share of [0, 0.25, 0.5, 0.75, 1])
        expect(quantile({ values, weights: new Float64Array(10).fill(weight) }, share)).toBeCloseTo(
          quantile({ values, weights: undefined }, share),
          9,
        );
  });

  it('of rows with a gap do not move the scale of the others, nor what a column is worth', async () => {
    const data = await problem(1000);
    // One in five is known: rows of little weight.
    const known = (row: number) => row % 5 === 0;
    const gaps = data.features.map((feature, i) =>
      i === 0
        ? { ...feature, values: Float32Array.from(data.y, (y, row) => (known(row) ? y + row / 1000 : Number.NaN)) }
        : feature,
    );
    const robust = {
      ...genes,
      impute: 'None',
      encode: 'Ordinal',
      scale: 'Robust',
      select: 0.25,
      interactions: 0,
    } as const;
    const fitted = (weight: number) => {
      const weights = Float64Array.from({ length: 1000 }, (_, row) => (known(row) ? weight : 1));
      return fitPreprocessing({ ...data, features: gaps, weights }, all(1000), robust, 1).preprocessing;
    };
    const { steps: wanted, outputs } = fitted(1);
    expect(outputs).toEqual([[0]]);
    for (const weight of [0.01, 0.002]) {
      const light = fitted(weight);
      expect(light.outputs).toEqual(outputs);
      const { shift, factor } = wanted[0] as Step & { kind: 'Number' };
      const near = { shift: expect.closeTo(shift, 5) as number, factor: expect.closeTo(factor, 5) as number };
      expect(light.steps[0]).toEqual({ ...wanted[0], ...near });
    }
  });
});

describe('the encoding of a teaching row has not seen', () => {
  const all = Int32Array.from({ length: 120 }, (_, i) => i);
  const some = { ...genes, select: 1, interactions: 0, scale: 'None' } as const;
  const encoded = (data: Problem, split: InnerSplit, row: number): Float32Array => {
    const { matrix } = fitPreprocessing(data, all, some, 3, split);
    return matrix.data.slice(row * matrix.columns, (row + 1) * matrix.columns);
  };
  const turned = (data: Problem, of: (row: number) => boolean): Problem => ({
    ...data,
    y: data.y.map((y, row) => (of(row) ? 1 - y : y)),
  });

  it('the targets of its group', async () => {
    const groups = Int32Array.from(all, (row) => row % 13);
    const data = { ...(await problem()), groups };
    const split = { kind: 'Group', gap: 0 } as const;
    for (const row of [0, 7, 59]) {
      const others = turned(data, (each) => groups[each] === groups[row]);
      for (const [j, cell] of encoded(others, split, row).entries())
        expect(cell).toBeCloseTo(encoded(data, split, row)[j]!, 6);
    }
    expect(
      encoded(
        turned(data, (each) => groups[each] === 1),
        split,
        0,
      ),
    ).not.toEqual(encoded(data, split, 0));
  });

  it.each([0, 10])('targets of later rows, nor of rows that were not known in time (gap %i)', async (gap) => {
    const times = Float64Array.from(all, (row) => (row * 37) % 120);
    const data = { ...(await problem()), times };
    const split = { kind: 'Time', gap } as const;
    for (const row of all) {
      const later = turned(data, (each) => times[each]! > times[row]! - gap);
      expect(encoded(later, split, row)).toEqual(encoded(data, split, row));
      // The first parts have no past that could show.
      if (times[row]! < 48) continue;
      const earlier = turned(data, (each) => times[each]! <= times[row]! - gap - 24);
      expect(encoded(earlier, split, row)).not.toEqual(encoded(data, split, row));
    }
  });
});

function numbersOf(steps: readonly Step[]): number[] {
  return steps.flatMap((step) => {
    if (step.kind === 'Number') return [step.fill!, step.shift, step.factor];
    return step.kind === 'Table' ? [...step.values, step.missing!, step.other] : [];
  });
}
