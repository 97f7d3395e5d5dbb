// Frames of an animated WebP (WebP container specification), each as a WebP of its own.
import { type Animation, mostParts, type Part } from './part.ts';

const animated = 0x02;
const alpha = 0x10;

export function readWebp(bytes: Buffer): Animation | undefined {
  if (bytes.length < 30 || name(bytes, 12) !== 'VP8X' || !((bytes[20] as number) & animated)) return undefined;
  const parts: Part[] = [];
  for (const { type, data } of chunks(bytes, 12)) {
    const made = type === 'ANMF' && data.length > 16 ? part(data) : undefined;
    if (made && parts.push(made) === mostParts) break;
  }
  return { width: bytes.readUIntLE(24, 3) + 1, height: bytes.readUIntLE(27, 3) + 1, parts };
}

function part(data: Buffer): Part | undefined {
  const [x, y] = [2 * data.readUIntLE(0, 3), 2 * data.readUIntLE(3, 3)];
  const [width, height] = [data.readUIntLE(6, 3) + 1, data.readUIntLE(9, 3) + 1];
  const flags = data[15] as number;
  const inside = new Map<string, Buffer>();
  for (const { type, data: content } of chunks(data, 16)) inside.set(type, content);
  const type = inside.has('VP8L') ? 'VP8L' : 'VP8 ';
  const picture = inside.get(type);
  if (!picture) return undefined;
  const transparency = inside.get('ALPH');
  const still = () => {
    const extended = Buffer.alloc(10);
    extended[0] = alpha;
    extended.writeUIntLE(width - 1, 4, 3);
    extended.writeUIntLE(height - 1, 7, 3);
    const body = [
      Buffer.from('WEBP', 'latin1'),
      ...(transparency ? [chunk('VP8X', extended), chunk('ALPH', transparency)] : []),
      chunk(type, picture),
    ];
    return chunk('RIFF', Buffer.concat(body));
  };
  return { x, y, width, height, blend: flags & 2 ? 'Source' : 'Over', dispose: flags & 1 ? 'Clear' : 'Keep', still };
}

function* chunks(bytes: Buffer, from: number): Generator<{ type: string; data: Buffer }> {
  for (let at = from; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 4);
    yield { type: name(bytes, at), data: bytes.subarray(at + 8, at + 8 + length) };
    at += 8 + length + (length & 1);
  }
}

function chunk(type: string, data: Buffer): Buffer {
  const head = Buffer.from(`${type}\0\0\0\0`, 'latin1');
  head.writeUInt32LE(data.length, 4);
  return Buffer.concat([head, data, Buffer.alloc(data.length & 1)]);
}

function name(bytes: Buffer, at: number): string {
  return bytes.toString('latin1', at, at + 4);
}
