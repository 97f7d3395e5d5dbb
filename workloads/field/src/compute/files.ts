// Files that are either whole or not there, whatever happens to the process while they are written; in a folder or, where
// that is `s3://bucket/prefix`, objects of the same names.
import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, mkdirSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { outputError } from '../errors.ts';
import { getObject, isBucket, putObject } from './bucket.ts';

/** Below the output folder: what a killed writer leaves lies here, never among the results. */
export const stagingFolder = '.quintet/staging';

/** Writes to a staged file, brings it to the disk, and renames it to `path` below `folder`. @throws FieldError */
export function writeWhole(folder: string, path: string, content: Uint8Array | string): void {
  write(folder, path, content, true);
}

/**
 * As `writeWhole`, but not yet brought to the disk: whole when the process is killed, and perhaps torn when the machine
 * loses power. Chunks bear a checksum and are synced together before a marker says that they are done.
 */
export function writeUnsynced(folder: string, path: string, content: Uint8Array): void {
  write(folder, path, content, false);
}

/** Fills `buffer` from a file of just that length; false when there is none or it is of another length. @throws FieldError */
export function readInto(folder: string, path: string, buffer: Uint8Array): boolean {
  if (isBucket(folder)) {
    const bytes = getObject(folder, path);
    if (bytes?.length !== buffer.length) return false;
    buffer.set(bytes);
    return true;
  }
  const source = join(folder, path);
  try {
    const file = openSync(source, 'r');
    try {
      if (fstatSync(file).size !== buffer.length) return false;
      for (let at = 0; at < buffer.length; ) {
        const read = readSync(file, buffer, at, buffer.length - at, at);
        if (read === 0) return false;
        at += read;
      }
      return true;
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw outputError(error, source);
  }
}

/** Brings a file that was written to the disk. @throws FieldError */
export function syncFile(folder: string, path: string): void {
  if (isBucket(folder)) return;
  try {
    const file = openSync(join(folder, path), 'r');
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw outputError(error, join(folder, path));
  }
}

function write(folder: string, path: string, content: Uint8Array | string, sync: boolean): void {
  if (isBucket(folder)) {
    putObject(folder, path, content);
    return;
  }
  const staged = join(folder, stagingFolder, `${process.pid}-${randomBytes(6).toString('hex')}`);
  const target = join(folder, path);
  try {
    const file = inFolderOf(staged, () => openSync(staged, 'wx', 0o664));
    try {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content;
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      if (sync) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    inFolderOf(target, () => renameSync(staged, target));
  } catch (error) {
    rmSync(staged, { force: true });
    throw outputError(error, target);
  }
}

/** Makes the folder only when it is missing. */
function inFolderOf<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    mkdirSync(dirname(path), { recursive: true });
    return act();
  }
}
