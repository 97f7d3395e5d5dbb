import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { randomOf } from '../random.ts';
import { evolve } from './local.ts';
import { openModel } from './model.ts';
import { predict } from './predict.ts';

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quintet-local-'));
  file = join(folder, 'data.csv');
  const random = randomOf('local');
  const rows = Array.from({ length: 160 }, () => {
    const [a, b] = [random.normal(), random.normal()];
    return `${random.int(10) === 0 ? '' : a},${b},${random.pick(['red', 'green', 'blue'])},${a - b > 0 ? 'yes' : 'no'}`;
  });
  await writeFile(file, `a,b,colour,y\n${rows.join('\n')}\n`);
});
afterAll(() => rm(folder, { recursive: true }));

const spec = {
  search: { population: 4, generations: 2, islands: 1, learners: ['Linear', 'NaiveBayes'], seed: 1 },
  validation: { folds: 3 },
  budget: { time: '1m' },
};

it('a run leaves a model, its schema, figures and a report, and a second run takes everything from the cache', async () => {
  const options = { file, target: 'y', spec, workers: 2, cache: join(folder, 'cache') };
  const first = await evolve({ ...options, output: join(folder, 'out') });
  expect(first.spec.dataset.task).toBe('Binary');
  expect(first.holdout).toBeGreaterThan(0.9);
  const sums = await readFile(join(folder, 'out', 'SHA256SUMS'), 'utf8');
  expect(sums.split('\n').map((line) => line.slice(66))).toEqual([
    'model.quintet',
    'model.onnx',
    'schema.json',
    'metrics.json',
    'report.html',
    '',
  ]);
  const report = await readFile(join(folder, 'out', 'report.html'), 'utf8');
  expect(report).toContain('<svg');
  expect(report).not.toMatch(/(src|href)="?https?:/);

  const model = openModel(await readFile(join(folder, 'out', 'model.quintet')), first.artifacts!.sha256);
  const { values, problems } = model.predict([
    { a: 2, b: -2, colour: 'red' },
    { a: -2, b: 2, colour: 'violet' },
    { a: null, b: 'x', colour: '' },
  ]);
  expect(values[0]).toBeGreaterThan(0.8);
  expect(values[1]).toBeLessThan(0.2);
  expect(problems).toEqual([
    'row 3, column b: “x” is no Numeric',
    'row 2, column colour: “violet” was not there in training',
  ]);
  expect(() => model.predict([{ b: 1, colour: 'red' }])).toThrow(/no row has the column a/);
  const [worst] = model.drift(Array.from({ length: 100 }, () => ({ a: 9, b: 0, colour: 'red' })));
  expect(worst!.index).toBeGreaterThan(0.25);

  const lines: string[] = [];
  const summary = await predict({
    model: join(folder, 'out', 'model.quintet'),
    file,
    write: (line) => lines.push(line),
  });
  expect([summary.rows, summary.problems, summary.drifted, lines.length]).toEqual([160, [], [], 161]);
  expect(lines[0]).toMatch(/^y,probability (no|yes),probability (no|yes)$/);

  const second = await evolve(options);
  expect(second.cacheHits.hits).toBe(second.cacheHits.asked);
  expect([second.score, second.holdout]).toEqual([first.score, first.holdout]);
}, 60_000);

it('a budget that nothing can meet still ends with a model, in time', async () => {
  const result = await evolve({
    file,
    target: 'y',
    workers: 1,
    spec: { ...spec, budget: { time: '1s' }, search: { ...spec.search, learners: ['NeuralNetwork'] } },
  });
  expect(result.search.reason).toBe('Clock');
  expect(result.model.predict([{ a: 1, b: 1, colour: 'red' }]).values).toHaveLength(1);
}, 60_000);
