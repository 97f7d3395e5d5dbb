// What people hand in by mistake, through a whole `quintet evolve` and `quintet predict`.
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evolve } from '../run/local.ts';
import { predict } from '../run/predict.ts';
import { badInputs } from './fixtures/badInput.ts';
import { threeRows } from './fixtures/threeRows.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quintet-bad-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileOf(content: string | Uint8Array, format: 'CSV' | 'Parquet' = 'CSV'): Promise<string> {
  const path = join(folder, `data.${format === 'CSV' ? 'csv' : 'parquet'}`);
  await writeFile(path, content);
  return path;
}

describe('an evolution', () => {
  for (const [what, { content, format, task = 'Binary', columns = [], reason, message, where }] of Object.entries(
    badInputs,
  )) {
    it(`of ${what} is refused by place before it begins, and leaves nothing`, async () => {
      const output = join(folder, 'output');
      const run = evolve({
        file: await fileOf(content, format),
        target: 'y',
        task,
        output,
        workers: 1,
        spec: { dataset: { columns } },
      });
      await expect(run).rejects.toMatchObject({
        reason,
        message: expect.stringMatching(message) as string,
        ...(where ? { where } : {}),
      });
      expect(await readdir(folder)).not.toContain('output');
    });
  }
});

it('a table that takes longer to read than the budget is refused, and so is one whose reading is interrupted', async () => {
  const file = await fileOf(`a,b,y\n${'1,2,3\n'.repeat(1 << 19)}`);
  const late = evolve({ file, target: 'y', spec: { budget: { time: '1ms' } } });
  await expect(late).rejects.toMatchObject({
    reason: 'InvalidResource',
    message: 'the table could not be read within 1ms; give more, use fewer rows, or a faster source',
    where: { field: 'spec.budget.time' },
  });
  const interrupted = evolve({ file, target: 'y', signal: AbortSignal.abort(new Error('interrupted')) });
  await expect(interrupted).rejects.toThrow('interrupted');
});

describe('a prediction', () => {
  let model: string;
  beforeAll(async () => {
    // The columns of the Parquet file, but the date.
    const lines = Array.from(
      { length: 60 },
      (_, i) => `${i % 10},${2 ** (20 + (i % 21))},${'aé'[i % 2]},${i % 3 > 0},${i % 10}`,
    );
    await evolve({
      file: await fileOf(`n,big,word,flag,y\n${lines.join('\n')}\n`),
      target: 'y',
      task: 'Regression',
      output: join(folder, 'model'),
      workers: 1,
      spec: {
        search: { population: 4, generations: 1, islands: 1, learners: ['Linear'], seed: 1 },
        validation: { folds: 2 },
      },
    });
    model = join(folder, 'model', 'model.quintet');
  }, 60_000);

  const predicted = async (content: string | Uint8Array, format: 'CSV' | 'Parquet' = 'CSV') => {
    const lines: string[] = [];
    const summary = await predict({ model, file: await fileOf(content, format), write: (line) => lines.push(line) });
    return { ...summary, lines };
  };

  it('of Parquet equals that of the same rows as CSV', async () => {
    const parquet = await predicted(threeRows, 'Parquet');
    expect(parquet.rows).toBe(3);
    expect(parquet.problems).toEqual([]);
    const csv = await predicted(`flag,word,n,big\ntrue,a,1.5,1\nfalse,é,,2\n,,3,${2 ** 40}\n`);
    expect(parquet.lines).toEqual(csv.lines);
    expect(new Set(parquet.lines.slice(1)).size).toBe(3);
  });

  it('tells what cells are not as they were in training', async () => {
    const { rows, problems } = await predicted('n,big,word,flag\ninf,1,a,true\nfive,2e300,ö,TRUE\n');
    expect(rows).toBe(2);
    expect(problems.toSorted()).toEqual([
      'row 1, column n: “inf” is infinite',
      'row 2, column big: “2e300” is infinite',
      'row 2, column flag: “TRUE” was not there in training',
      'row 2, column n: “five” is no Numeric',
      'row 2, column word: “ö” was not there in training',
    ]);
  });

  it.each([
    ['no bytes', '', 'CSV', /the file is empty/],
    ['two columns of one name', 'n,n,big,word,flag\n1,2,1,a,true\n', 'CSV', /columns 1 and 2 are both called n/],
    ['a column too few', 'n,big,flag\n1,1,true\n', 'CSV', /no row has the column word; send every column/],
    ['a NUL byte', 'n,big,word,flag\n1,1,\0,true\n', 'CSV', /line 2: a NUL byte/],
    ['a quote that is not closed', 'n,big,word,flag\n1,1,"a,true\n', 'CSV', /line 2: a quote that is not closed/],
    ['Parquet that is cut off', threeRows.subarray(0, 700), 'Parquet', /no readable footer/],
  ] as const)('of a file with %s is refused by place', async (_, content, format, message) => {
    const written: string[] = [];
    const file = await fileOf(content, format);
    await expect(predict({ model, file, write: (line) => written.push(line) })).rejects.toThrow(message);
    // The header is no answer to rows that cannot be predicted, but where some of them may have been already.
    expect(written.length).toBeLessThan(2);
  });

  it('of a header alone is a header alone', async () => {
    expect(await predicted('n,big,word,flag\n')).toMatchObject({ rows: 0, lines: ['y'] });
  });
});
