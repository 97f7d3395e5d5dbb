// What a pod keeps of the index over a restart: columns as they lie in memory, read in one go, plus the position in the
// record's changes from which the rest is followed. Written beside, synced and renamed: whole or not there.
import { createHash } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import type { Columns } from '../index/hash-index.ts';

const magic = 'quintet-matcher-snapshot-1\n';
export interface Snapshot {
  readonly position: number;
  readonly parts: readonly Columns[];
  /** Item number → what is not in columns: profile, date until it is disabled, features in base64. */
  readonly extras: readonly Extra[];
}

export interface Extra {
  readonly number: number;
  readonly profile?: unknown;
  readonly features?: string;
  readonly until?: number;
  /** Disabled or quarantined. */
  readonly hidden?: boolean;
}

export async function writeSnapshot(path: string, { position, parts, extras }: Snapshot): Promise<void> {
  const temporary = `${path}.part`;
  const file = await open(temporary, 'w', 0o600);
  try {
    const digest = createHash('sha256');
    const tail = Buffer.from(JSON.stringify(extras));
    const head = Buffer.from(
      JSON.stringify({ position, counts: parts.map(({ count }) => count), extras: tail.length }),
    );
    const lengths = Buffer.alloc(4);
    lengths.writeUInt32LE(head.length);
    const pieces: Uint8Array[] = [Buffer.from(magic), lengths, head];
    for (const { hashes, numbers, banks, flags, count } of parts) {
      pieces.push(view(hashes, 32 * count), view(numbers, 4 * count), view(banks, 2 * count), view(flags, count));
    }
    pieces.push(tail);
    for (const piece of pieces) {
      digest.update(piece);
      for (let at = 0; at < piece.length; ) at += (await file.write(piece, at)).bytesWritten;
    }
    const sum = digest.digest();
    await file.write(sum, 0, sum.length);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

/** Undefined when there is none or it is damaged: then everything is read from the record. A damaged one is removed. */
export async function readSnapshot(path: string): Promise<Snapshot | undefined> {
  const file = await readFile(path).catch(() => undefined);
  if (!file) return undefined;
  const body = file.subarray(0, -32);
  const whole =
    file.length > magic.length + 36 && createHash('sha256').update(body).digest().equals(file.subarray(-32));
  if (!whole || body.toString('latin1', 0, magic.length) !== magic) {
    await rm(path, { force: true });
    return undefined;
  }
  let at = magic.length + 4;
  const headLength = body.readUInt32LE(magic.length);
  const take = (length: number) => body.subarray(at, (at += length));
  const head = JSON.parse(take(headLength).toString()) as { position: number; counts: number[]; extras: number };
  const parts = head.counts.map((count) => ({
    count,
    hashes: take(32 * count),
    numbers: words(take(4 * count)),
    banks: shorts(take(2 * count)),
    flags: take(count),
  }));
  return { position: head.position, parts, extras: JSON.parse(take(head.extras).toString()) as Extra[] };
}

function view(array: Uint8Array | Uint16Array | Uint32Array, bytes: number): Buffer {
  return Buffer.from(array.buffer, array.byteOffset, bytes);
}

/** A copy, as the bytes need not lie at a multiple of four. */
function words(bytes: Buffer): Uint32Array {
  return new Uint32Array(new Uint8Array(bytes).buffer);
}

function shorts(bytes: Buffer): Uint16Array {
  return new Uint16Array(new Uint8Array(bytes).buffer);
}
