import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { writeFileWhole } from './output.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quintet-out-'));
  file = join(folder, 'rows.csv');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('replaces a file, through a link to it too, and keeps its rights', async () => {
  writeFileSync(file, 'before');
  chmodSync(file, 0o600);
  const link = join(folder, 'link');
  symlinkSync(file, link);
  expect(await writeFileWhole(link, [], async (write) => void (await write('after')))).toBeUndefined();
  expect(readFileSync(file, 'utf8')).toBe('after');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder).toSorted()).toEqual(['link', 'rows.csv']);
});

it('leaves a file as it was when the work fails, and nothing beside it', async () => {
  writeFileSync(file, 'before');
  const failing = writeFileWhole(file, [], async (write) => {
    await write('half');
    throw new Error('line 3 is none');
  });
  await expect(failing).rejects.toThrow('line 3 is none');
  expect(readFileSync(file, 'utf8')).toBe('before');
  expect(readdirSync(folder)).toEqual(['rows.csv']);
});

it('refuses a file that is read, by whatever name', async () => {
  writeFileSync(file, 'before');
  const link = join(folder, 'link');
  symlinkSync(file, link);
  await expect(writeFileWhole(link, [file], async () => undefined)).rejects.toThrow(/is read by this command/);
  expect(readFileSync(file, 'utf8')).toBe('before');
});

it('waits where there is no room for more, and says what cannot be written', async () => {
  const text = 'x'.repeat(1 << 16);
  let waited = 0;
  await writeFileWhole(file, [], async (write) => {
    for (let i = 0; i < 40; i++) {
      const full = write(text);
      if (full) waited++;
      await full;
    }
  });
  expect(waited).toBeGreaterThan(0);
  expect(statSync(file).size).toBe(40 << 16);
  const full = writeFileWhole('/dev/full', [], async (write) => {
    for (;;) await write(text);
  });
  await expect(full).rejects.toMatchObject({ reason: 'OutputUnwritable', message: expect.stringContaining('ENOSPC') });
});
