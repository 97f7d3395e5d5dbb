import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { featuresOfRows } from '../data/features.ts';
import { problemOf } from '../data/problem.ts';
import { readTableText } from '../data/table.ts';
import { randomOf } from '../random.ts';
import { fitPreprocessing, type PreprocessingGenes } from './fit.ts';
import { transform } from './steps.ts';

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
