import { createHash, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evolve } from './local.ts';
import { fillFolder } from './outputFolder.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quintet-output-'));
});
afterAll(() => rm(folder, { recursive: true }));

const sum = '0'.repeat(64);
const results = (text: string, ...more: string[]) =>
  new Map(
    ['model.quintet', ...more, 'SHA256SUMS'].map((name) => [
      name,
      name === 'SHA256SUMS' ? ['model.quintet', ...more].map((each) => `${sum}  ${each}\n`).join('') : text,
    ]),
  );

it('a new folder is made with those above it, readable as other folders of this user are', async () => {
  const out = join(folder, 'a', 'b', 'c');
  await fillFolder(out, results('one'));
  expect((await readdir(out)).toSorted()).toEqual(['SHA256SUMS', 'model.quintet']);
  await mkdir(join(folder, 'plain'));
  const mode = async (path: string) => (await stat(path)).mode;
  expect(await mode(out)).toBe(await mode(join(folder, 'plain')));
  expect(await readdir(join(folder, 'a', 'b'))).toEqual(['c']);
});

it('earlier results are replaced, and what else lies beside them stays', async () => {
  const out = join(folder, 'again');
  await fillFolder(out, results('one', 'model.onnx'));
  await writeFile(join(out, 'notes.md'), 'mine');
  await fillFolder(out, results('two'));
  expect((await readdir(out)).toSorted()).toEqual(['SHA256SUMS', 'model.quintet', 'notes.md']);
  expect(await readFile(join(out, 'model.quintet'), 'utf8')).toBe('two');
  expect(await readFile(join(out, 'notes.md'), 'utf8')).toBe('mine');
});

it('an empty folder is filled', async () => {
  const out = join(folder, 'empty');
  await mkdir(out);
  await fillFolder(out, results('one'));
  expect((await readdir(out)).toSorted()).toEqual(['SHA256SUMS', 'model.quintet']);
});

describe('after a kill while files are moved', () => {
  const killed = async (name: string, ...files: string[]) => {
    const out = join(folder, name);
    await mkdir(join(out, `.quintet-${randomUUID()}`), { recursive: true });
    for (const file of files) await writeFile(join(out, file), 'part');
    return out;
  };

  it('the folder is filled again, and nothing of the part is left', async () => {
    const out = await killed('killed', 'model.quintet', 'model.onnx');
    await fillFolder(out, results('one'));
    expect((await readdir(out)).toSorted()).toEqual(['SHA256SUMS', 'model.quintet']);
    expect(await readFile(join(out, 'model.quintet'), 'utf8')).toBe('one');
  });

  it('a folder in which somebody keeps something else is refused', async () => {
    const out = await killed('theirs', 'model.quintet', 'chapter.txt');
    await expect(fillFolder(out, results('one'))).rejects.toMatchObject({ reason: 'InvalidResource' });
  });

  it('what was left beside a new folder goes, and what others write there stays', async () => {
    const shelf = join(folder, 'shelf');
    const markOf = (name: string) => createHash('sha256').update(name).digest('hex').slice(0, 16);
    const left = `.quintet-${markOf('out')}-${randomUUID()}`;
    const others = `.quintet-${markOf('other')}-${randomUUID()}`;
    for (const name of [left, others]) await mkdir(join(shelf, name), { recursive: true });
    await fillFolder(join(shelf, 'out'), results('one'));
    expect((await readdir(shelf)).toSorted()).toEqual([others, 'out']);
  });
});

it('a file and a folder of other things are refused and stay as they are', async () => {
  const file = join(folder, 'data.csv');
  await writeFile(file, 'a,y\n1,2\n');
  const thesis = join(folder, 'thesis');
  await mkdir(thesis);
  await writeFile(join(thesis, 'chapter.txt'), 'years of work');
  await expect(fillFolder(file, results('one'))).rejects.toMatchObject({
    reason: 'InvalidResource',
    message: expect.stringMatching(/data\.csv is a file, which stays/) as string,
  });
  await expect(fillFolder(thesis, results('one'))).rejects.toMatchObject({
    reason: 'InvalidResource',
    message: expect.stringMatching(/holds other files, such as chapter\.txt/) as string,
  });
  expect(await readFile(file, 'utf8')).toBe('a,y\n1,2\n');
  expect(await readFile(join(thesis, 'chapter.txt'), 'utf8')).toBe('years of work');
});

it('a run is refused before it begins when its output is its own input', async () => {
  const file = join(folder, 'input.csv');
  await writeFile(file, 'a,y\n1,2\n');
  await expect(evolve({ file, target: 'y', output: file })).rejects.toThrow(/input\.csv is a file/);
  expect(await readFile(file, 'utf8')).toBe('a,y\n1,2\n');
});

it('a folder that cannot be made says so instead of being tried for ever', async () => {
  await expect(fillFolder('/proc/quintet/out', results('one'))).rejects.toMatchObject({ reason: 'OutputUnwritable' });
});
