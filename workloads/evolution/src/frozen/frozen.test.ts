// Models made here, as other tools would export them, beside a table's columns.
import { type Graph, writeOnnx } from '@quintet/runtime/onnx';
import { describe, expect, it } from 'vitest';
import { outputsOf, type Problem, problemOf, tableHashOf, withFrozen } from '../data/problem.ts';
import { readTableText } from '../data/table.ts';
import { frozenModel } from './model.ts';
import { openFrozen } from './session.ts';

const rows = Array.from(
  { length: 40 },
  (_, i) => `${i % 7},${i === 5 ? '' : i % 3},${i % 2 ? 'north' : ''},${i % 4 ? 'no' : 'yes'}`,
);

async function problem(text = `a,b,site,y\n${rows.join('\n')}\n`): Promise<Problem> {
  return problemOf(await readTableText(text, { categorical: ['y'] }), { target: 'y', task: 'Binary' }).problem;
}
const numbers = () => problem(`a,b,y\n${rows.map((row) => row.replace(/(north)?,(yes|no)$/, '$2')).join('\n')}\n`);

const graph = (parts: Partial<Graph>): Uint8Array =>
  writeOnnx({ name: 'theirs', nodes: [], inputs: [], outputs: [], ...parts });

/** sigmoid(a − 2 where the site is north) */
const byColumn = graph({
  inputs: [
    { name: 'a', type: 'float32', shape: ['rows', 1] },
    { name: 'site', type: 'string', shape: ['rows', 1] },
  ],
  outputs: [{ name: 'out', type: 'float32', shape: ['rows', 1] }],
  nodes: [
    {
      op: 'LabelEncoder',
      inputs: ['site'],
      outputs: ['code'],
      domain: 'ai.onnx.ml',
      attributes: {
        keys_strings: { strings: ['north'] },
        values_floats: { floats: [2] },
        default_float: { float: 0 },
      },
    },
    { op: 'Sub', inputs: ['a', 'code'], outputs: ['score'] },
    { op: 'Sigmoid', inputs: ['score'], outputs: ['out'] },
  ],
});

/** softmax(0, x · w), as scikit-learn's classifiers come: a label, and a column for each class. */
const byMatrix = (width: number) =>
  graph({
    inputs: [{ name: 'X', type: 'float32', shape: ['rows', width] }],
    outputs: [
      { name: 'scores', type: 'float32', shape: ['rows', 2] },
      { name: 'probabilities', type: 'float32', shape: ['rows', 2] },
    ],
    initializers: [
      { name: 'w', dims: [width, 2], values: Float32Array.from({ length: 2 * width }, (_, i) => (i === 1 ? 1 : 0)) },
      { name: 'zero', dims: [1], values: Float32Array.of(0) },
    ],
    nodes: [
      { op: 'IsNaN', inputs: ['X'], outputs: ['gaps'] },
      { op: 'Where', inputs: ['gaps', 'zero', 'X'], outputs: ['whole'] },
      { op: 'MatMul', inputs: ['whole', 'w'], outputs: ['scores'] },
      { op: 'Softmax', inputs: ['scores'], outputs: ['probabilities'], attributes: { axis: { int: 1 } } },
    ],
  });

async function predicted(bytes: Uint8Array, data: Problem): Promise<Float64Array> {
  const session = await openFrozen(frozenModel('theirs', bytes), data.features, { ...data, outputs: outputsOf(data) });
  try {
    return await session.predict(
      data.features,
      Int32Array.from({ length: data.rows }, (_, i) => i),
    );
  } finally {
    await session.close();
  }
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

describe('a frozen model', () => {
  it('takes columns by their names, words among them', async () => {
    const values = await predicted(byColumn, await problem());
    for (const [i, value] of values.entries()) expect(value).toBeCloseTo(sigmoid((i % 7) - (i % 2 ? 2 : 0)), 5);
  });

  it('takes all columns as one matrix, and gives the positive class of two', async () => {
    const data = await numbers();
    expect(data.classes).toEqual(['no', 'yes']);
    const values = await predicted(byMatrix(2), data);
    for (const [i, value] of values.entries()) expect(value).toBeCloseTo(sigmoid(i % 7), 5);
    const turned = await predicted(byMatrix(2), { ...data, classes: ['yes', 'no'] });
    for (const [i, value] of turned.entries()) expect(value).toBeCloseTo(1 - sigmoid(i % 7), 5);
  });

  const input = { name: 'a', type: 'float32', shape: ['rows', 1] } as const;
  const same = (name: string) => ({
    outputs: [{ name, type: 'float32', shape: ['rows', 1] }] as const,
    nodes: [{ op: 'Identity', inputs: [name === 'out' ? 'a' : 'elsewhere'], outputs: [name] }],
  });
  const bad: [what: string, bytes: Uint8Array, message: RegExp][] = [
    ['that is no ONNX', new TextEncoder().encode('nothing'), /the frozen model theirs cannot be read/],
    [
      'of a column that the table lacks',
      graph({
        ...same('far'),
        inputs: [input, { ...input, name: 'elsewhere' }],
      }),
      /its input elsewhere is no column that pipelines see; these are a, b, site/,
    ],
    ['of a matrix where a column holds words', byMatrix(2), /its input X takes numbers alone, and the column site/],
    [
      'that gives too much',
      graph({
        inputs: [input],
        outputs: [{ name: 'out', type: 'float32', shape: ['rows', 3] }],
        nodes: [{ op: 'Concat', inputs: ['a', 'a', 'a'], outputs: ['out'], attributes: { axis: { int: 1 } } }],
      }),
      /none of its outputs out holds 1 or 2 floats a row/,
    ],
    [
      'whose answers are no probabilities',
      graph({ ...same('out'), inputs: [input] }),
      /gives 2 for row 3, which is no/,
    ],
    [
      'that knows no gaps',
      graph({
        inputs: [{ ...input, name: 'b' }],
        outputs: [{ name: 'out', type: 'float32', shape: ['rows', 1] }],
        nodes: [{ op: 'Sigmoid', inputs: ['b'], outputs: ['out'] }],
      }),
      /gives NaN for row 6, which is no probability; let the graph impute missing cells/,
    ],
  ];
  it.each(bad)('%s is refused', async (_, bytes, message) => {
    await expect(predicted(bytes, await problem())).rejects.toMatchObject({
      message: expect.stringMatching(message) as string,
      where: { field: 'spec.search.frozen' },
    });
  });

  it('of another width than the table is refused', async () => {
    await expect(predicted(byMatrix(3), await numbers())).rejects.toThrow(
      'wants 3 numbers a row, and the table gives 2',
    );
  });

  describe('of several classes', () => {
    const ending = (op: string) =>
      graph({
        inputs: [input],
        outputs: [{ name: 'out', type: 'float32', shape: ['rows', 3] }],
        nodes: [
          { op: 'Concat', inputs: ['a', 'a', 'a'], outputs: ['scores'], attributes: { axis: { int: 1 } } },
          { op, inputs: ['scores'], outputs: ['out'] },
        ],
      });
    const colours = async () => {
      const cells = Array.from({ length: 30 }, (_, i) => `${i % 5},${['red', 'green', 'blue'][i % 3]}`);
      const table = await readTableText(`a,y\n${cells.join('\n')}\n`, { categorical: ['y'] });
      return problemOf(table, { target: 'y', task: 'Multiclass' }).problem;
    };

    it('is taken where its rows sum to 1', async () => {
      for (const value of await predicted(ending('Softmax'), await colours())) expect(value).toBeCloseTo(1 / 3, 6);
    });

    it('is refused where they do not, as of a sigmoid for each class', async () => {
      await expect(predicted(ending('Sigmoid'), await colours())).rejects.toThrow(
        /probabilities for row 1 that sum to 1.5, not 1; let the/,
      );
    });
  });

  it('of too many bytes is refused, alone or with others', async () => {
    const data = await problem();
    const sized = (name: string, mebibytes: number) => ({ name, sha256: name, bytes: new Uint8Array(mebibytes << 20) });
    expect(() => withFrozen(data, [sized('huge', 65)])).toThrow(/the frozen model huge has 68157440 bytes, more than/);
    const some = ['a', 'b', 'c', 'd'].map((name) => sized(name, 60));
    expect(withFrozen(data, some).frozen).toHaveLength(4);
    expect(() => withFrozen(data, [...some, sized('e', 60)])).toThrow(
      /up to e have 314572800 bytes together, more than/,
    );
  });

  it('makes another problem of the table', async () => {
    const data = await problem();
    const one = withFrozen(data, [frozenModel('one', byColumn)]).hash;
    expect(new Set([data.hash, one, withFrozen(data, [frozenModel('two', byMatrix(2))]).hash]).size).toBe(3);
    expect(withFrozen(data, []).hash).toBe(data.hash);
    expect(tableHashOf(withFrozen(data, [frozenModel('one', byColumn)]))).toBe(data.hash);
  });
});
