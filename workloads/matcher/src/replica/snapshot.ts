// What a pod keeps of the index over a restart of its process: columns as they lie in memory, then a line for each item
// that has more, and the position in the record's changes from which the rest is followed. Written beside, synced and
// renamed: whole or not there. Items may be newer than the position, as what is followed twice changes nothing.
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Columns } from '../index/hash-index.ts';
import type { Kept } from '../record/everything.ts';
import type { Position } from '../record/record.ts';
import type { Contents, Extra } from './contents.ts';

const magic = 'quintet-matcher-snapshot-3\n';
const digestLength = 32;
/** Bytes that are written, read or digested in one go; others are served in between. */
const piece = 1 << 20;

interface Head {
  readonly at: Position;
  readonly kept: Kept;
  readonly counts: readonly number[];
}

export async function writeSnapshot(path: string, contents: Contents): Promise<void> {
  // Two processes that share a file by mistake each write their own.
  const temporary = `${path}.${process.pid}.part`;
  const file = await open(temporary, 'w', 0o600);
  try {
    const parts = contents.columns();
    const head: Head = { at: contents.at, kept: contents.kept, counts: parts.map(({ count }) => count) };
    const sum = createHash('sha256');
    const encoded = Buffer.from(JSON.stringify(head));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(encoded.length);
    for (const bytes of [Buffer.from(magic), length, encoded]) await write(file, bytes, sum);
    for (const { hashes, numbers, banks, flags, count } of parts) {
      const columns = [view(hashes, 32 * count), view(numbers, 4 * count), view(banks, 2 * count), view(flags, count)];
      for (const column of columns) await write(file, column, sum);
    }
    let lines: string[] = [];
    let characters = 0;
    for (const extra of contents.extras()) {
      const line = `${JSON.stringify(extra)}\n`;
      lines.push(line);
      if ((characters += line.length) < piece) continue;
      await write(file, Buffer.from(lines.join('')), sum);
      [lines, characters] = [[], 0];
    }
    await write(file, Buffer.from(lines.join('')), sum);
    await file.write(sum.digest());
    await file.sync();
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

/**
 * Fills `contents` and returns true; false when there is no snapshot, it is damaged, of another version or keeps other
 * things, or `accepts` does not want its position: then nothing was filled. A damaged one is removed.
 */
export async function readSnapshot(
  path: string,
  contents: Contents,
  accepts: (at: Position) => Promise<boolean>,
): Promise<boolean> {
  const file = await open(path, 'r').catch(() => undefined);
  if (!file) return false;
  try {
    const { size } = await file.stat();
    if (!(await isWhole(file, size))) {
      await rm(path, { force: true });
      return false;
    }
    let place = magic.length;
    const take = async (length: number) => {
      const bytes = await read(file, place, length);
      place += length;
      return bytes;
    };
    const head = JSON.parse((await take((await take(4)).readUInt32LE())).toString()) as Head;
    if (!isDeepStrictEqual(head.kept, contents.kept) || !(await accepts(head.at))) return false;
    for (const count of head.counts) {
      const columns: Columns = {
        count,
        spread: true,
        hashes: await take(32 * count),
        numbers: new Uint32Array(aligned(await take(4 * count))),
        banks: new Uint16Array(aligned(await take(2 * count))),
        flags: await take(count),
      };
      await contents.load(columns);
    }
    for await (const extras of linesOf(file, place, size - digestLength)) await contents.loadExtras(extras);
    contents.at = head.at;
    return true;
  } finally {
    await file.close();
  }
}

async function isWhole(file: FileHandle, size: number): Promise<boolean> {
  const end = size - digestLength;
  if (end < magic.length + 4) return false;
  const sum = createHash('sha256');
  for (let at = 0; at < end; at += piece) {
    const bytes = await read(file, at, Math.min(piece, end - at));
    if (at === 0 && bytes.toString('latin1', 0, magic.length) !== magic) return false;
    sum.update(bytes);
  }
  return sum.digest().equals(await read(file, end, digestLength));
}

async function* linesOf(file: FileHandle, from: number, to: number): AsyncGenerator<Extra[]> {
  let rest = Buffer.alloc(0);
  for (let at = from; at < to; at += piece) {
    const bytes = Buffer.concat([rest, await read(file, at, Math.min(piece, to - at))]);
    const end = bytes.lastIndexOf(10) + 1;
    rest = bytes.subarray(end);
    const lines = bytes.toString('utf8', 0, end).split('\n').slice(0, -1);
    yield lines.map((line) => JSON.parse(line) as Extra);
  }
}

async function write(file: FileHandle, bytes: Uint8Array, sum: Hash): Promise<void> {
  for (let at = 0; at < bytes.length; at += piece) {
    const some = bytes.subarray(at, at + piece);
    sum.update(some);
    for (let done = 0; done < some.length; ) done += (await file.write(some, done)).bytesWritten;
  }
}

async function read(file: FileHandle, from: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, Math.min(64 * piece, length - done), from + done);
    if (bytesRead === 0) throw new Error('the snapshot ends too early');
    done += bytesRead;
  }
  return bytes;
}

function view(array: Uint8Array | Uint16Array | Uint32Array, bytes: number): Buffer {
  return Buffer.from(array.buffer, array.byteOffset, bytes);
}

/** A copy, as the bytes of a small buffer need not lie at a multiple of four. */
function aligned(bytes: Buffer): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
