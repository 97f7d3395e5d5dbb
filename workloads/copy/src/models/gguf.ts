// A look at a GGUF file before llama.cpp gets it: garbage makes its readers run for hours or ask for all memory. By the published layout, versions 2 and 3.
import { open } from 'node:fs/promises';
import { QuintetError } from '@quintet/runtime';

/** Bytes of fixed-size values by type number; 8 is text, 9 a list. */
const sizes: Record<number, number> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
/** Metadata beyond this is not looked at; vocabularies take some ten megabytes. */
const longestHeader = 64 << 20;
const mostEntries = 1_000_000;

/** Throws `MODEL_MISSING` with what is wrong and where, when the file is no GGUF, is cut off, or its counts and lengths cannot be true. */
export async function checkGguf(path: string): Promise<void> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const header = Buffer.alloc(Math.min(size, longestHeader));
    await file.read(header, 0, header.length, 0);
    const wrong = problemOf(header, size);
    if (wrong) throw new QuintetError('MODEL_MISSING', { uri: path, reason: `the file is damaged: ${wrong}` });
  } finally {
    await file.close();
  }
}

/** What is wrong with a file of `size` bytes that begins with `header`, or undefined. */
function problemOf(header: Buffer, size: number): string | undefined {
  if (header.length < 24 || header.toString('latin1', 0, 4) !== 'GGUF') return 'it does not begin as a GGUF file does';
  const version = header.readUInt32LE(4);
  if (version !== 2 && version !== 3) return `its version is ${version}; known are 2 and 3`;
  const tensors = Number(header.readBigUInt64LE(8));
  const entries = Number(header.readBigUInt64LE(16));
  if (tensors > mostEntries || entries > mostEntries)
    return `it claims ${tensors} tensors and ${entries} entries of metadata`;
  let at = 24;
  try {
    for (let i = 0; i < entries; i++) at = pastValue(header, pastText(header, at));
    for (let i = 0; i < tensors; i++) {
      at = pastText(header, at);
      const dimensions = header.readUInt32LE(at);
      if (dimensions > 8) return `a tensor at byte ${at} claims ${dimensions} dimensions`;
      at += 4 + 8 * dimensions + 4;
      if (Number(header.readBigUInt64LE(at)) >= size) return 'it is cut off: a tensor begins after its end';
      at += 8;
    }
  } catch (error) {
    // Read past the end: of the file, or only of what is looked at.
    if (!(error instanceof RangeError)) throw error;
    return header.length < size ? undefined : `it is cut off in its metadata, at byte ${Math.min(at, size)}`;
  }
  return undefined;
}

function pastText(header: Buffer, at: number): number {
  return past(header, at + 8, Number(header.readBigUInt64LE(at)));
}

function pastValue(header: Buffer, at: number): number {
  const type = header.readUInt32LE(at);
  if (type === 8) return pastText(header, at + 4);
  if (type !== 9) return past(header, at + 4, sizeOf(type));
  const inner = header.readUInt32LE(at + 4);
  const count = Number(header.readBigUInt64LE(at + 8));
  if (inner !== 8) return past(header, at + 16, count * sizeOf(inner));
  let next = at + 16;
  for (let i = 0; i < count; i++) next = pastText(header, next);
  return next;
}

function past(header: Buffer, at: number, length: number): number {
  if (at + length > header.length) throw new RangeError('beyond the header');
  return at + length;
}

function sizeOf(type: number): number {
  const size = sizes[type];
  if (size === undefined) throw new RangeError('no such type');
  return size;
}
