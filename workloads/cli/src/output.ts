// Where rows go: standard output, or a file that appears once it is whole.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, type Stats } from 'node:fs';
import { realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { UnwritableError, UsageError } from './guarded.ts';

/** Resolves once there is room for more; nothing is to be waited for where there still is. */
export type Write = (text: string) => Promise<unknown> | undefined;

/**
 * Calls `work` with what writes to the file, which keeps what it held until `work` has ended well.
 * @param read Files that `work` reads, which are therefore refused
 * @throws UsageError, UnwritableError
 */
export async function writeFileWhole<T>(
  path: string,
  read: readonly string[],
  work: (write: Write) => Promise<T>,
): Promise<T> {
  const before = await statOf(path);
  if (before?.isDirectory()) throw new UsageError(`--out: ${path} is a folder, not a file`);
  for (const each of read) {
    const other = before && (await statOf(each));
    if (other && other.dev === before.dev && other.ino === before.ino)
      throw new UsageError(`--out: ${path} is read by this command, and stays as it is: choose another file`);
  }
  // Pipes and devices cannot be replaced.
  if (before && !before.isFile()) return written(path, path, work);
  const target = before ? await realpath(path) : path;
  const fresh = join(dirname(target), `.quintet-${randomUUID()}`);
  try {
    const result = await written(path, fresh, work, before?.mode);
    await rename(fresh, target).catch((error: Error) => {
      throw new UnwritableError(path, error);
    });
    return result;
  } finally {
    await rm(fresh, { force: true }).catch(() => undefined);
  }
}

/** A stream as something to write to by its own speed. */
export function writeTo(stream: Writable): Write {
  return (text) => (stream.write(text) ? undefined : once(stream, 'drain'));
}

/** A reader that wants no more, such as `head`, ends the command; what else goes wrong is said in a line. */
export function endWithStandardOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    console.error(`OutputUnwritable: standard output: ${error.message}`);
    process.exit(75);
  });
}

async function written<T>(path: string, fresh: string, work: (write: Write) => Promise<T>, mode?: number): Promise<T> {
  const stream = createWriteStream(fresh, mode === undefined ? {} : { mode });
  const end = finished(stream).catch((error: Error) => {
    throw new UnwritableError(path, error);
  });
  const never = end.then(() => new Promise<never>(() => undefined));
  try {
    const result = await Promise.race([work(writeTo(stream)), never]);
    stream.end();
    await end;
    return result;
  } finally {
    stream.destroy();
    await end.catch(() => undefined);
  }
}

function statOf(path: string): Promise<Stats | undefined> {
  return stat(path).catch(() => undefined);
}
