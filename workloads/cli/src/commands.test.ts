// `compress`, `evolve`, `predict`, `models` and `match` as a person calls them.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const bin = fileURLToPath(new URL('../bin/quintet.js', import.meta.url));
const picture = fileURLToPath(new URL('../../../docs/images/levitator.png', import.meta.url));
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quintet-commands-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: unknown;
  readonly out: string;
  readonly err: string;
}

function quintet(...args: string[]): Promise<Ended> {
  return run(process.execPath, bin, ...args);
}

function run(program: string, ...args: string[]): Promise<Ended> {
  return new Promise((done) => {
    const environment = { ...process.env, QUINTET_POSTGRES_URL: '' };
    execFile(program, args, { cwd: folder, env: environment }, (error, out, err) =>
      done({ code: error?.code ?? 0, out, err }),
    );
  });
}

describe('the command line', { timeout: 120_000 }, () => {
  it('compresses a file: the text to standard output, what was kept to standard error', async () => {
    const text = Array.from({ length: 200 }, (_, i) => `Cabinet ${i} holds case ${i * 31}.\n`).join('');
    writeFileSync(join(folder, 'notes.txt'), text);
    const { code, out, err } = await quintet('compress', 'notes.txt', '--ratio', '8', '--query', 'case 3100');
    expect({ code, err }).toMatchObject({ code: 0, err: expect.stringMatching(/^\d+ → \d+ tokens/) as string });
    expect(out).toContain('case 3100.');
    expect(out.length).toBeLessThan(text.length / 6);
  });

  it('says that a budget was too short for any pipeline, by its exit code too, and writes nothing', async () => {
    const rows = Array.from({ length: 120 }, (_, i) => `${(i * 7) % 20},${(i * 7) % 20 > 9 ? 'yes' : 'no'}`);
    writeFileSync(join(folder, 'short.csv'), `calls,churned\n${rows.join('\n')}\n`);
    const evolved = quintet('evolve', 'short.csv', '--target', 'churned', '--budget', '300ms', '--out', 'short');
    const { code, out, err } = await evolved;
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain('--budget: no pipeline was finished in 300ms; give more, or use fewer rows');
    expect(() => readFileSync(join(folder, 'short', 'model.quintet'))).toThrow('ENOENT');
  });

  it('evolves a model and predicts with it', async () => {
    const rows = Array.from({ length: 120 }, (_, i) => `${i},${(i * 7) % 20},${(i * 7) % 20 > 9 ? 'yes' : 'no'}`);
    writeFileSync(join(folder, 'churn.csv'), `id,calls,churned\n${rows.join('\n')}\n`);
    const evolved = await quintet('evolve', 'churn.csv', '--target', 'churned', '--budget', '8s', '--workers', '1');
    expect(evolved).toMatchObject({ code: 0, out: expect.stringMatching(/RocAUC .*more is better[^]*model\.quintet/) });
    expect(evolved.err.match(/^churn\.csv: suspect: .*$/gm)).toContain(
      'churn.csv: suspect: calls alone predicts churned (1.0000 of 1)',
    );
    const { code, out, err } = await quintet('predict', 'model/model.quintet', 'churn.csv');
    expect({ code, err }).toMatchObject({ code: 0, err: expect.stringContaining('120 rows predicted') as string });
    expect(out.trimEnd().split('\n')).toHaveLength(121);
    const header = 'id,calls,churned\n';
    writeFileSync(join(folder, 'many.csv'), `${header}${`${rows.join('\n')}\n`.repeat(40)}`);
    const shell = 'set -o pipefail; "$0" "$@" | head -1';
    const first = await run('bash', '-c', shell, process.execPath, bin, 'predict', 'model/model.quintet', 'many.csv');
    expect(first).toMatchObject({ code: 0, err: '', out: expect.stringMatching(/^churned,[^\n]*\n$/) as string });
    const to = (file: string) => quintet('predict', 'model/model.quintet', 'churn.csv', '--out', file);
    expect(await to('churn.csv')).toMatchObject({ code: 2, err: expect.stringMatching(/^--out: churn\.csv is read/) });
    expect(readFileSync(join(folder, 'churn.csv'), 'utf8')).toBe(`${header}${rows.join('\n')}\n`);
    expect(await to('model')).toMatchObject({ code: 2, err: '--out: model is a folder, not a file\n' });
    expect(await quintet('predict', 'model', 'churn.csv')).toMatchObject({ code: 2, err: 'model: this is a folder\n' });
    expect(await to('/proc/x.csv')).toMatchObject({
      code: 75,
      err: expect.stringMatching(/^OutputUnwritable: --out: \/proc\/x\.csv cannot be written: [^\n]*\n$/) as string,
    });
    expect(await to('predicted.csv')).toMatchObject({ code: 0 });
    expect(readFileSync(join(folder, 'predicted.csv'), 'utf8')).toBe(out);
  });

  it('evolves by the spec of a resource, and is refused what only a cluster has', async () => {
    const line = (i: number) => `${i},${(i * 7) % 20},${i % 12},${(i * 7) % 20 > 9 ? 'yes' : 'no'}`;
    writeFileSync(
      join(folder, 'calls.csv'),
      `id,calls,customer,churned\n${Array.from({ length: 120 }, (_, i) => line(i)).join('\n')}\n`,
    );
    const spec = {
      dataset: { source: { configMap: { name: 'x', key: 'y' } }, target: 'churned', task: 'Binary' },
      search: { learners: ['Linear'], population: 4, islands: 1, seed: 3 },
      validation: { split: 'Group', groupColumn: 'customer', folds: 2 },
      budget: { evaluations: 4 },
    };
    const write = (more: object) => {
      const resource = { apiVersion: 'quintet.dev/v1alpha1', kind: 'EvolutionRun', metadata: { name: 'calls' } };
      writeFileSync(join(folder, 'calls.yaml'), JSON.stringify({ ...resource, spec: { ...spec, ...more } }));
    };
    write({});
    const flags = ['--spec', 'calls.yaml', '--budget', '1m', '--out', 'calls', '--json'];
    const evolved = await quintet('evolve', 'calls.csv', ...flags);
    expect(evolved.code).toBe(0);
    const figures = JSON.parse(evolved.out) as { metric: string; tried: Record<string, number> };
    expect(figures.metric).toBe('RocAUC');
    expect(Object.keys(figures.tried)).toEqual(['complete', 'racedOut', 'failed']);
    expect(Object.values(figures.tried).reduce((sum, count) => sum + count, 0)).toBe(4);
    const metrics = JSON.parse(readFileSync(join(folder, 'calls', 'metrics.json'), 'utf8')) as object;
    expect(metrics).toMatchObject({ seed: 3, reason: 'Evaluations', evaluations: { placed: 4 } });
    expect(readFileSync(join(folder, 'calls', 'report.html'), 'utf8')).toContain('2 folds (Group), seed 3');
    write({ search: { ...spec.search, warmStart: 'calls-1' } });
    expect(await quintet('evolve', 'calls.csv', '--spec', 'calls.yaml', '--out', 'calls')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^InvalidResource: spec\.search\.warmStart: earlier runs are in a registry/) as string,
    });
    write({ dataset: { ...spec.dataset, sha256: '0'.repeat(64) } });
    expect(await quintet('evolve', 'calls.csv', '--spec', 'calls.yaml', '--out', 'calls')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^DataDamaged: spec\.dataset\.sha256: the file's SHA-256 is/) as string,
    });
  });

  it('finds the copies of images', async () => {
    for (const name of ['new', 'known']) mkdirSync(join(folder, name));
    cpSync(picture, join(folder, 'new', 'a.png'));
    cpSync(picture, join(folder, 'known', 'b.png'));
    writeFileSync(join(folder, 'new', 'notes.txt'), 'no image');
    const { code, out, err } = await quintet('match', 'new', '--against', 'known', '--level', 'Speed');
    expect({ code, err }).toMatchObject({
      code: 0,
      err: expect.stringMatching(/skipped new\/notes.txt[^]*1 matches; 1 images compared with 1/) as string,
    });
    expect(out).toMatch(/a\.png +b\.png +Exact/);
  });

  it.each([
    { args: ['compress', 'bytes.bin'], err: /bytes\.bin: this is no UTF-8 text/ },
    { args: ['compress', 'missing.txt'], err: /missing\.txt: there is no such file/ },
    { args: ['compress', 'short.csv', '--strategy', 'magic'], err: /strategy: there is no strategy "magic"/ },
    { args: ['compress', 'short.csv', '--ratio', '0'], err: /--ratio[^]*1 to 10000/ },
    { args: ['compress', 'short.csv', '--ratio', '8', '--target-tokens', '9'], err: /cannot be used with/ },
    {
      args: ['evolve', 'short.csv', '--target', 'c', '--budget', '5s'],
      err: /^DataInvalid: --target, column c: .*columns are a, b/,
    },
    { args: ['evolve', 'short.csv', '--target', 'b', '--budget', 'long'], err: /^InvalidResource: --budget: must be/ },
    { args: ['evolve', 'short.csv'], err: /^--target: name the column to predict, or give --spec/ },
    { args: ['evolve', 'short.csv', '--spec', 'missing.yaml'], err: /^missing\.yaml: there is no such file/ },
    { args: ['evolve', 'missing.csv', '--target', 'b'], err: /^missing\.csv: there is no such file/ },
    {
      args: ['evolve', 'weighed.csv', '--spec', 'weighed.yaml'],
      err: /^DataInvalid: column w, line 3: a weight must be a number of at least 0$/m,
    },
    { args: ['evolve', 'ragged.csv', '--target', 'b'], err: /^DataInvalid: line 3: 3 fields where/ },
    { args: ['evolve', 'short.csv', '--target', 'b', '--out', '.'], err: /holds other files, such as bytes\.bin/ },
    { args: ['match', '.', '--against', '.', '--max-distance', '300'], err: /whole number from 0 to 256/ },
    { args: ['models', 'list', '--postgres', 'foo'], err: /it begins with postgres:/ },
    { args: ['predict', 'short.csv', 'short.csv'], err: /ModelDamaged/ },
    { args: ['models', 'list'], err: /--postgres or QUINTET_POSTGRES_URL/ },
    { args: ['match', 'missing', '--against', '.'], err: /missing: there is no such file or folder/ },
  ])('ends with 2 and names what is wrong for $args', async ({ args, err }) => {
    writeFileSync(join(folder, 'bytes.bin'), Buffer.from([0xff, 0xfe, 0]));
    writeFileSync(join(folder, 'short.csv'), 'a,b\n1,2\n3,4\n');
    writeFileSync(join(folder, 'ragged.csv'), 'a,b\n1,2\n3,4,5\n');
    const weighed = Array.from({ length: 20 }, (_, i) => `${i === 1 ? -1 : 1},${i},${i % 2}\n`);
    writeFileSync(join(folder, 'weighed.csv'), `w,a,z\n${weighed.join('')}`);
    const dataset = '{source: {configMap: {name: a, key: b}}, target: z, task: Binary, weight: w}';
    const resource = `apiVersion: quintet.dev/v1alpha1\nkind: EvolutionRun\nmetadata: {name: a}\nspec: {dataset: ${dataset}}\n`;
    writeFileSync(join(folder, 'weighed.yaml'), resource);
    expect(await quintet(...args)).toMatchObject({ code: 2, err: expect.stringMatching(err) as string });
  });

  it('names its own flag, and no field of a resource, where a registry does not answer', async () => {
    const { code, err } = await quintet('models', 'list', '--postgres', 'postgres://nobody@127.0.0.1:1/none');
    expect(code).toBe(75);
    expect(err).toMatch(/^RegistryUnavailable: --postgres or QUINTET_POSTGRES_URL: /);
  });

  it('ends with npx, whose shell passes no signal on', async () => {
    // What waits for the rest of its input ends by nothing else.
    const shell = spawn('sh', ['-c', '"$0" "$@"; true', process.execPath, bin, 'compress', '-'], {
      env: { ...process.env, npm_command: 'exec' },
    });
    const childOf = (pid: number) => Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')[0]);
    try {
      await expect.poll(() => childOf(childOf(shell.pid!)), { timeout: 30_000 }).toBeGreaterThan(0);
      shell.kill('SIGTERM');
      // Once none of them holds the output any more.
      await once(shell, 'close');
    } finally {
      shell.stdin.end();
    }
  });

  it('names its commands, and explains each', async () => {
    const { out } = await quintet('--help');
    for (const command of ['run', 'copy', 'compress', 'evolve', 'predict', 'models', 'match'])
      expect(out).toMatch(new RegExp(`^ {2}${command} `, 'm'));
    expect((await quintet('compress', '--help')).out).toMatch(/Examples:[^]*--target-tokens 2000/);
  });
});
