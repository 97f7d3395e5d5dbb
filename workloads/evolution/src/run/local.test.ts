import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { writeOnnx } from '@quintet/runtime/onnx';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { randomOf } from '../random.ts';
import { frontsOf } from '../search/nsga2.ts';
import { browserPath, openPage } from '../testing/browser.ts';
import { evolve } from './local.ts';
import { openModel, requireFinite } from './model.ts';
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
  expect(report).toContain('RocAUC: more is better');
  expect(report).not.toMatch(/(src|href)="?https?:/);
  // Whoever finds the folder later must be able to tell of what table it is, and of when.
  expect(report).toMatch(/<p>20\d\d-\d\d-\d\d: Binary on 160 rows of data\.csv and 3 features/);
  expect(JSON.parse(await readFile(join(folder, 'out', 'metrics.json'), 'utf8'))).toMatchObject({
    data: { file: 'data.csv', rows: 160 },
  });

  const model = openModel(await readFile(join(folder, 'out', 'model.quintet')), first.artifacts!.sha256);
  const { values, problems } = await model.predict([
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
  await expect(model.predict([{ b: 1, colour: 'red' }])).rejects.toThrow(/no row has the column a/);
  const [worst] = model.drift(model.read(Array.from({ length: 100 }, () => ({ a: 9, b: 0, colour: 'red' }))).features);
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

it('a file that is damaged anywhere is no model', async () => {
  await evolve({ file, target: 'y', spec, workers: 2, cache: join(folder, 'cache'), output: join(folder, 'whole') });
  const whole = await readFile(join(folder, 'whole', 'model.quintet'));
  const random = randomOf('damage');
  const places = [...Array(12).keys(), ...Array.from({ length: 60 }, () => random.int(whole.length)), whole.length - 1];
  for (const place of places) {
    const damaged = Uint8Array.from(whole);
    // All of the byte: a single bit may be of those that say nothing.
    damaged[place]! ^= 0xff;
    expect(() => openModel(damaged), `byte ${place}`).toThrow('the file is no model of Quintet');
  }
}, 60_000);

it('a number as large as there is one has an answer; what is no number is none', async () => {
  const output = join(folder, 'rate');
  const random = randomOf('rate');
  const rates = Array.from({ length: 120 }, () => 0.5 + 0.01 * random.normal());
  const taught = join(folder, 'rate.csv');
  await writeFile(taught, `rate,y\n${rates.map((rate) => `${rate},${rate > 0.5 ? 'yes' : 'no'}`).join('\n')}\n`);
  await evolve({ file: taught, target: 'y', spec, workers: 2, output });
  const model = openModel(await readFile(join(output, 'model.quintet')));
  const { values } = await model.predict([{ rate: 3.4028235e38 }, { rate: -3.4028235e38 }]);
  expect(values.every(Number.isFinite)).toBe(true);
  model.close();
  expect(() => requireFinite(Float64Array.of(1, 2, 3, Number.NaN), 2, 5)).toThrow('row 7 has no finite prediction');
}, 60_000);

it('features have moved where rows from all over a file say so, and there are rows enough to tell', async () => {
  const output = join(folder, 'moving');
  await evolve({ file, target: 'y', spec, workers: 2, cache: join(folder, 'cache'), output });
  const random = randomOf('drift');
  const drifted = async (rows: number, of: (i: number) => string) => {
    const moving = join(folder, 'moving.csv');
    await writeFile(moving, `a,b,colour\n${Array.from({ length: rows }, (_, i) => of(i)).join('\n')}\n`);
    return (await predict({ model: join(output, 'model.quintet'), file: moving, write: () => undefined })).drifted;
  };
  const cells = (a: number) =>
    `${random.int(10) === 0 ? '' : a},${random.normal()},${random.pick(['red', 'green', 'blue'])}`;
  const sorted = Array.from({ length: 10_000 }, () => random.normal()).sort((a, b) => a - b);
  expect(await drifted(10_000, (i) => cells(sorted[i]!))).toEqual([]);
  expect(await drifted(10_000, (i) => cells(sorted[i]! + (i < 5000 ? 0 : 4)))).toEqual(['a']);
  expect(await drifted(100, () => cells(4))).toEqual([]);
}, 60_000);

it.skipIf(!browserPath)(
  'the report is drawn by a browser, of one file alone and without a complaint',
  async () => {
    const output = join(folder, 'drawn');
    await evolve({ file, target: 'y', spec, workers: 2, cache: join(folder, 'cache'), output });
    const url = pathToFileURL(join(output, 'report.html')).href;
    const page = await openPage(url);
    try {
      expect(page.requests).toEqual([url]);
      expect(page.complaints).toEqual([]);
      const drawn = `[...document.querySelectorAll('svg')].map((svg) => {
      const { width, height } = svg.getBoundingClientRect();
      const texts = [...svg.querySelectorAll('text')].filter((text) => text.getBBox().width > 0);
      return { width, height, texts: texts.length, marks: svg.querySelectorAll('circle, rect, path').length };
    })`;
      const charts = (await page.evaluate(drawn)) as Record<'width' | 'height' | 'texts' | 'marks', number>[];
      // Learning curve, front, calibration and lineage.
      expect(charts).toHaveLength(4);
      for (const each of charts) {
        expect(each.width).toBeGreaterThan(100);
        expect(each.height).toBeGreaterThan(30);
        expect(each.texts).toBeGreaterThan(1);
        expect(each.marks).toBeGreaterThan(0);
      }
      const wide = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
      expect(await page.evaluate(wide)).toBe(0);
      const headings = "[...document.querySelectorAll('h1, h2')].map((each) => each.textContent)";
      expect(await page.evaluate(headings)).toEqual([
        expect.stringMatching(/^y: RocAUC (0\.9|1$)/),
        'Confusion on rows out of fold',
        'Importance of columns',
        'The ensemble',
        'Pareto front of score and cost',
        'Lineage of the best pipeline',
      ]);
      const bars = "[...document.querySelectorAll('meter')].map((each) => each.value)";
      expect(await page.evaluate(bars)).toEqual([1, expect.any(Number), expect.any(Number)]);
    } finally {
      await page.close();
    }
  },
  60_000,
);

it('a model that somebody else has made joins the ensemble as it is, and is part of what is stored', async () => {
  const frozen = join(folder, 'theirs.onnx');
  const column = (name: string) => ({ name, type: 'float32', shape: ['rows', 1] }) as const;
  // sigmoid(20 (a − b)), a gap being 0: what the target was made by.
  const bytes = writeOnnx({
    name: 'theirs',
    inputs: [column('a'), column('b')],
    outputs: [column('out')],
    initializers: [
      { name: 'zero', dims: [1], values: Float32Array.of(0) },
      { name: 'steep', dims: [1], values: Float32Array.of(20) },
    ],
    nodes: [
      { op: 'IsNaN', inputs: ['a'], outputs: ['gap'] },
      { op: 'Where', inputs: ['gap', 'zero', 'a'], outputs: ['whole'] },
      { op: 'Sub', inputs: ['whole', 'b'], outputs: ['difference'] },
      { op: 'Mul', inputs: ['difference', 'steep'], outputs: ['score'] },
      { op: 'Sigmoid', inputs: ['score'], outputs: ['out'] },
    ],
  });
  await writeFile(frozen, bytes);
  const bayes = { ...spec, search: { ...spec.search, learners: ['NaiveBayes'] } };
  const output = join(folder, 'with-theirs');
  const options = { file, target: 'y', spec: bayes, workers: 1, cache: join(folder, 'frozen-cache') };
  const result = await evolve({ ...options, output, frozen: [{ name: 'theirs', file: frozen }] });
  const [first] = result.ensemble!.members.toSorted((a, b) => b.weight - a.weight);
  expect(first!.individual).toMatchObject({ index: -1, genome: { learner: 'Frozen', genes: { name: 'theirs' } } });
  expect(first!.individual.predictions).toHaveLength(3);
  expect(frontsOf(result.search.complete)[0]!.map((i) => result.search.complete[i]!.index)).toContain(-1);

  expect(result.artifacts!.files).not.toContain('model.onnx');
  expect(result.artifacts!.onnx).toContain('theirs is a graph of its own');
  const metrics = JSON.parse(await readFile(join(output, 'metrics.json'), 'utf8')) as Record<string, unknown>;
  expect(metrics).toMatchObject({
    onnx: expect.stringContaining('theirs is a graph of its own') as string,
    frozen: [{ name: 'theirs', note: expect.stringContaining('only if it has learned from none') as string }],
  });
  expect(await readFile(join(output, 'report.html'), 'utf8')).toContain('frozen model theirs: judged as it came');

  const model = openModel(await readFile(join(output, 'model.quintet')), result.artifacts!.sha256);
  const { values } = await model.predict([
    { a: 2, b: -2, colour: 'red' },
    { a: null, b: 2, colour: 'violet' },
  ]);
  expect(values[0]).toBeGreaterThan(0.8);
  expect(values[1]).toBeLessThan(0.2);
  model.close();

  const again = await evolve({ ...options, frozen: [{ name: 'theirs', file: frozen }] });
  expect(again.cacheHits.hits).toBe(again.cacheHits.asked);
  expect(again.model.stored).toEqual(result.model.stored);
}, 60_000);

it('what cannot be read as a time is told once for a column, however many features are made of it', async () => {
  const times = join(folder, 'times.csv');
  const rows = Array.from({ length: 60 }, (_, i) => `2026-0${1 + (i % 9)}-1${i % 7}T0${i % 8}:00:00Z,${i % 9}`);
  await writeFile(times, `at,y\n${rows.join('\n')}\n`);
  const { model } = await evolve({
    file: times,
    target: 'y',
    task: 'Regression',
    spec: { ...spec, search: { ...spec.search, learners: ['Linear'] } },
    workers: 1,
  });
  expect((await model.predict([{ at: '2026-01-01' }, { at: 'noon' }])).problems).toEqual([
    'row 2, column at: “noon” is no DateTime',
  ]);
  model.close();
}, 60_000);

it('no budget at all is refused, and one of too many digits by its bound', async () => {
  const endless = evolve({ file, target: 'y', workers: 1, spec: { budget: { time: '900000h' } } });
  await expect(endless).rejects.toThrow(
    'spec.budget.time: must be a duration such as 10m, 1h30m or 500ms, of numbers up to 99999',
  );
  const none = evolve({ file, target: 'y', workers: 1, spec: { budget: { time: '0s' } } });
  await expect(none).rejects.toThrow('spec.budget.time: time must be above zero, such as 10m');
});

it('a budget in which no pipeline is finished is told as such, and leaves no model', async () => {
  const output = join(folder, 'short');
  const short = evolve({ file, target: 'y', workers: 1, output, spec: { ...spec, budget: { time: '300ms' } } });
  await expect(short).rejects.toMatchObject({
    reason: 'BudgetTooShort',
    message: 'no pipeline was finished in 300ms; give more, or use fewer rows',
    where: { field: 'spec.budget.time' },
  });
  await expect(readdir(output)).rejects.toThrow('ENOENT');
}, 60_000);
