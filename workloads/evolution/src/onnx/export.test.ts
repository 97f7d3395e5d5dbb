// Exported models in onnxruntime, on raw rows, beside our own predictions.
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { type Cell, isTime } from '../data/features.ts';
import { outputsOf, type Problem, problemOf } from '../data/problem.ts';
import { readTableText } from '../data/table.ts';
import { EvaluationContext } from '../evaluate/context.ts';
import { frozenModel } from '../frozen/model.ts';
import { openFrozen } from '../frozen/session.ts';
import type { LearnerName } from '../learners/index.ts';
import { lightgbmAvailable } from '../learners/lightgbm/library.ts';
import { defaultMetric } from '../metrics/metrics.ts';
import { randomOf } from '../random.ts';
import { modelOf, type StoredModel } from '../run/model.ts';
import { keyOf } from '../search/genome.ts';
import { exportOnnx } from './export.ts';
import { GraphWriter } from './graph.ts';

type Rows = Record<string, Cell>[];
const random = randomOf('onnx');

/** Numbers and times with gaps over many sizes, categories with gaps, and levels that training lacks. */
const rowsOf = (n: number, sites: readonly string[]): Rows =>
  Array.from({ length: n }, () => ({
    a: random.int(8) === 0 ? null : random.normal() * 10,
    b: Math.exp(4 * random.normal()),
    c: random.int(5) === 0 ? null : random.int(30) - 15,
    // Far from 0 and close together, as counts of seconds are.
    d: 1.6e9 + random.int(1e7),
    at: random.int(9) === 0 ? null : new Date(1e12 + random.int(1e9) * 900 + random.int(1000)).toISOString(),
    site: random.pick(sites),
  }));

async function problem(task: Problem['task']): Promise<Problem> {
  const rows = rowsOf(240, ['north', 'south', 'east', 'NA', '']);
  const target = ({ a, b, site }: Rows[number]) => {
    const value = Number(a ?? 3) + Math.log(Number(b)) * 2 + (site === 'north' ? 8 : 0) + random.normal();
    if (task === 'Regression') return value;
    return task === 'Binary' ? Number(value > 0) : value < -6 ? 'low' : value < 6 ? 'mid' : 'high';
  };
  const lines = rows.map((row) =>
    [row['a'], row['b'], row['c'], row['d'], row['at'], row['site'], target(row)].join(','),
  );
  const text = `a,b,c,d,at,site,y\n${lines.join('\n')}\n`;
  const table = await readTableText(text, { categorical: task === 'Regression' ? [] : ['y'] });
  return problemOf(table, { target: 'y', task }).problem;
}

function modelFor(data: Problem, learner: LearnerName, genes: Record<string, number | string>): StoredModel {
  const split = { folds: 2, holdout: 0, kind: 'Random', gap: 0, seed: 0 } as const;
  const metric = defaultMetric(data.task);
  const context = new EvaluationContext(data, { data: data.hash, task: data.task, split, metric, seed: 0 });
  const genome = { learner, genes };
  const pipelines = [0, 1].map((fold) => {
    const { model } = context.evaluate({ genome, key: keyOf(genome), fold, fraction: 1, priority: 0 });
    return Buffer.from(model!).toString('base64');
  });
  return {
    format: 'quintet-model/1',
    task: data.task,
    target: 'y',
    classes: data.classes,
    outputs: outputsOf(data),
    metric,
    features: data.features.map(({ name, column, type, kind, levels }) => ({
      name,
      column,
      type,
      kind,
      ...(levels ? { levels } : {}),
    })),
    statistics: [],
    members: [{ learner, weight: 1, pipelines }],
  };
}

/** As learners predict: values, the probability of the positive class, or of each. */
async function inOnnx(model: StoredModel, rows: Rows): Promise<number[]> {
  const answer = await answersOf(model, rows);
  if (model.task === 'Regression') return Array.from(answer['prediction']!.data as Float32Array);
  const values = Array.from(answer['probabilities']!.data as Float32Array);
  const positive = Number(model.classes[1]! > model.classes[0]!);
  return model.task === 'Multiclass' ? values : values.filter((_, i) => i % 2 === positive);
}

async function answersOf(model: StoredModel, rows: Rows): Promise<Record<string, Tensor>> {
  const session = await InferenceSession.create(exportOnnx(model), { logSeverityLevel: 3 });
  const feeds = Object.fromEntries(
    model.features.map(({ column, kind }) => {
      const cells = rows.map((row) => row[column] ?? null);
      const dims = [rows.length, 1];
      if (kind === 'Category')
        return [
          column,
          new Tensor(
            'string',
            cells.map((cell) => String(cell ?? '')),
            dims,
          ),
        ];
      if (isTime(kind))
        return [
          column,
          new Tensor(
            'float64',
            Float64Array.from(cells, (cell) => secondsOf(cell)),
            dims,
          ),
        ];
      return [
        column,
        new Tensor(
          'float32',
          Float32Array.from(cells, (cell) => (cell === null ? Number.NaN : Number(cell))),
          dims,
        ),
      ];
    }),
  );
  const answer = await session.run(feeds);
  await session.release();
  return answer;
}

function secondsOf(cell: Cell): number {
  return cell === null ? Number.NaN : Date.parse(String(cell)) / 1000;
}

const trees = {
  trees: 30,
  leaves: 15,
  minLeaf: 5,
  maxBin: 63,
  learningRate: 0.2,
  featureShare: 0.8,
  rowShare: 0.8,
  l2: 1,
};
const genomes: [string, LearnerName, Record<string, number | string>, boolean][] = [
  ['gradient boosting on gaps', 'GradientBoosting', { ...trees, boosting: 'Plain', encode: 'Ordinal' }, true],
  ['gradient boosting on target encodings', 'GradientBoosting', { ...trees, boosting: 'Dart', encode: 'Target' }, true],
  ['linear trees', 'GradientBoosting', { ...trees, trees: 70, boosting: 'Linear', encode: 'Target' }, true],
  ['a random forest', 'RandomForest', { ...trees, indicate: 'Yes', encode: 'OneHot' }, true],
  ['extra trees', 'ExtraTrees', { ...trees, impute: 'Mean' }, true],
  [
    'near neighbours by squares',
    'NearestNeighbors',
    { k: 7, byDistance: 'Yes', power: 2, scale: 'Standard', impute: 'Mean', select: 0.8 },
    false,
  ],
  ['near neighbours, all alike', 'NearestNeighbors', { k: 5, byDistance: 'No', power: 1, encode: 'OneHot' }, false],
  [
    'a linear model',
    'Linear',
    { penalty: 0.01, l1Ratio: 0.2, scale: 'Robust', indicate: 'Yes', interactions: 3 },
    false,
  ],
  [
    'a network',
    'NeuralNetwork',
    { depth: 1, width: 8, learningRate: 0.01, epochs: 5, decay: 0, scale: 'Log', encode: 'Target' },
    false,
  ],
];

describe('an exported model predicts raw rows as ours does:', () => {
  for (const task of ['Binary', 'Multiclass', 'Regression'] as const) {
    const bayes: (typeof genomes)[number][] =
      task === 'Regression' ? [] : [['naive Bayes', 'NaiveBayes', { smoothing: 1e-6 }, false]];
    for (const [what, learner, genes, library] of [...genomes, ...bayes]) {
      it.skipIf(library && !lightgbmAvailable())(`${what}, ${task}`, async () => {
        const model = modelFor(await problem(task), learner, genes);
        const rows = rowsOf(300, ['north', 'south', 'east', '', 'NaN', 'west']);
        const ours = modelOf(model);
        const { values } = await ours.predict(rows);
        ours.close();
        const theirs = await inOnnx(model, rows);
        const size = Math.max(1, ...values.map(Math.abs));
        expect(values.every(Number.isFinite)).toBe(true);
        expect(Math.max(...theirs.map((value, i) => Math.abs(value - values[i]!))) / size).toBeLessThan(1e-5);
      });
    }
  }

  it.skipIf(!lightgbmAvailable())('an ensemble of several learners', async () => {
    const data = await problem('Multiclass');
    const weights = [0.5, 0.3, 0.2];
    const models = [4, 6, 0].map((i) => modelFor(data, genomes[i]![1], genomes[i]![2]));
    const members = models.map(({ members: [member] }, i) => ({ ...member!, weight: weights[i]! }));
    const rows = rowsOf(100, ['north', 'south', '', 'west']);
    const { values } = await modelOf({ ...models[0]!, members }).predict(rows);
    const theirs = await inOnnx({ ...models[0]!, members }, rows);
    expect(Math.max(...theirs.map((value, i) => Math.abs(value - values[i]!)))).toBeLessThan(1e-5);
  });

  it('whatever the columns are called', async () => {
    const names: Record<string, string> = { a: 'v0', b: 'c1', c: 'label', d: 'v4', at: 'probabilities', site: 'v3' };
    const renamed = (row: Rows[number]) =>
      Object.fromEntries(Object.entries(row).map(([name, cell]) => [names[name]!, cell]));
    const genes = { penalty: 0.01, l1Ratio: 0.2, indicate: 'Yes', encode: 'Target' };
    const plain = modelFor(await problem('Binary'), 'Linear', genes);
    const features = plain.features.map((each) => ({ ...each, name: names[each.name]!, column: names[each.column]! }));
    const rows = rowsOf(50, ['north', 'south', '']);
    const [named, usual] = [await answersOf({ ...plain, features }, rows.map(renamed)), await answersOf(plain, rows)];
    expect(Object.keys(named)).toEqual(['label_', 'probabilities_']);
    expect(named['label_']!.data).toEqual(usual['label']!.data);
    expect(named['probabilities_']!.data).toEqual(usual['probabilities']!.data);
  });

  it.each([
    ['0', '1'],
    ['1', '0'],
    ['late', 'early'],
    ['2', '10'],
  ])('names the class, and has a column for each in order whichever is positive (%s, %s)', async (...classes) => {
    const genes = { penalty: 0.01, l1Ratio: 0.2 };
    const model = { ...modelFor(await problem('Binary'), 'Linear', genes), classes };
    const rows = rowsOf(50, ['north', 'south']);
    const { values } = await modelOf(model).predict(rows);
    const { label, probabilities } = await answersOf(model, rows);
    expect(probabilities!.dims).toEqual([50, 2]);
    expect(label!.dims).toEqual([50]);
    expect([...label!.data]).toEqual([...values].map((value) => classes[value > 0.5 ? 1 : 0]));
    const order = ['0', 'early', '2'].includes(classes[0]) ? [0, 1] : [1, 0];
    const expected = [...values].flatMap((value) => order.map((place) => (place === 1 ? value : 1 - value)));
    const away = expected.map((value, i) => Math.abs(value - (probabilities!.data[i] as number)));
    expect(Math.max(...away)).toBeLessThan(1e-5);
    const text = Buffer.from(exportOnnx(model)).toString('latin1');
    expect(text).toContain(JSON.stringify(order.map((place) => classes[place])));
    expect(text).toMatch(new RegExp(`positiveClass..${classes[1]}`, 's'));
  });

  it.each([
    ['Binary', ['0', '1'], ['0', '1']],
    ['Binary', ['1', '0'], ['0', '1']],
    ['Binary', ['1', '0'], ['1', '0']],
    ['Multiclass', ['high', 'low', 'mid'], ['high', 'low', 'mid']],
    ['Regression', [], []],
  ] as const)('joins another run as a frozen model (%s, %j into %j)', async (task, own, theirs) => {
    const { features, ...whole } = await problem(task);
    const data = { ...whole, features: features.filter(({ kind }) => !isTime(kind)), classes: theirs };
    const model = { ...modelFor(data, 'Linear', { penalty: 0.01, l1Ratio: 0.2 }), classes: own };
    const ours = modelOf(model);
    const rows = Int32Array.from({ length: data.rows }, (_, i) => i);
    const values = await ours.predictFeatures(data.features, rows);
    ours.close();
    const session = await openFrozen(frozenModel('ours', exportOnnx(model)), data.features, {
      ...data,
      outputs: outputsOf(data),
    });
    const joined = await session.predict(data.features, rows);
    await session.close();
    const isTurned = own[0] !== theirs[0];
    const away = joined.map((value, i) => Math.abs(value - (isTurned ? 1 - values[i]! : values[i]!)));
    expect(Math.max(...away)).toBeLessThan(1e-4);
  });

  it('names each of several classes', async () => {
    const model = modelFor(await problem('Multiclass'), 'Linear', { penalty: 0.01, l1Ratio: 0.2 });
    const rows = rowsOf(50, ['north', 'south']);
    const { values } = await modelOf(model).predict(rows);
    const { label, probabilities } = await answersOf(model, rows);
    const best = rows.map((_, i) => {
      const own = values.subarray(3 * i, 3 * i + 3);
      return model.classes[own.indexOf(Math.max(...own))];
    });
    expect([...label!.data]).toEqual(best);
    expect(probabilities!.dims).toEqual([50, 3]);
  });

  it.each([
    // Two folds, a table each.
    ['Target', 1_000_001, 2_000_002],
    // One code for all levels of all folds.
    ['OneHot', 2_000_001, 2_000_001],
  ])('refuses more words than a file should have (%s)', async (encode, length, words) => {
    const model = modelFor(await problem('Binary'), 'Linear', { penalty: 0.1, l1Ratio: 0, encode });
    const levels = new Array<string>(length).fill('w');
    const features = model.features.map((each) => (each.levels ? { ...each, levels } : each));
    expect(() => exportOnnx({ ...model, features })).toThrow(`tables of ${words} words are more than`);
  });

  it('refuses a graph that nobody could load', () => {
    const graph = new GraphWriter([]);
    graph.numbers(new Float32Array(40 << 20));
    expect(() => graph.doubles(new Float64Array(13 << 20), [13 << 20])).toThrow(
      expect.objectContaining({ reason: 'Unsupported', message: expect.stringContaining('more than 256 MiB') }),
    );
  });

  it('refuses by name what ONNX cannot express', async () => {
    const model = modelFor(await problem('Binary'), 'Linear', { penalty: 0.1, l1Ratio: 0 });
    const [first, ...rest] = model.features;
    const features = [{ ...first!, type: 'Text' as const, kind: 'Words' as const }, ...rest];
    expect(() => exportOnnx({ ...model, features })).toThrow('column a is Text, which has no exact form in ONNX');
  });
});
