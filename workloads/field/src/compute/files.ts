// Files that are either whole or not there, whatever happens while they are written.
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { outputError } from '../errors.ts';

/** Below the output folder: what a killed writer leaves lies here, never among the results. */
export const stagingFolder = '.quintet/staging';

/** Writes to a staged file, brings it to the disk, and renames it to `path` below `folder`. @throws FieldError */
export function writeWhole(folder: string, path: string, content: Uint8Array | string): void {
  const staged = join(folder, stagingFolder, `${process.pid}-${randomBytes(6).toString('hex')}`);
  const target = join(folder, path);
  try {
    mkdirSync(dirname(staged), { recursive: true });
    mkdirSync(dirname(target), { recursive: true });
    const file = openSync(staged, 'wx', 0o664);
    try {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content;
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(staged, target);
  } catch (error) {
    rmSync(staged, { force: true });
    throw outputError(error, target);
  }
}
