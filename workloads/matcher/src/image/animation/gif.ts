// Frames of a GIF (GIF89a specification, W3C), each as a GIF with one.
import { type Animation, mostParts, type Part } from './part.ts';

const extension = 0x21;
const graphicControl = 0xf9;
const image = 0x2c;

const disposals = ['Keep', 'Keep', 'Clear', 'Restore'] as const;

export function readGif(bytes: Buffer): Animation | undefined {
  if (bytes.length < 13) return undefined;
  const global = tableSize(bytes[10] as number);
  const head = bytes.subarray(0, 13 + global);
  const parts: Part[] = [];
  let control: Buffer | undefined;
  for (let at = head.length; at + 2 <= bytes.length && parts.length < mostParts; ) {
    if (bytes[at] === extension) {
      const end = afterBlocks(bytes, at + 2);
      if (bytes[at + 1] === graphicControl && end - at >= 8) control = bytes.subarray(at, at + 8);
      at = end;
    } else if (bytes[at] === image && at + 11 <= bytes.length) {
      const end = afterBlocks(bytes, at + 11 + tableSize(bytes[at + 9] as number));
      const made = part(head, control, bytes.subarray(at, end));
      if (made.width > 0 && made.height > 0) parts.push(made);
      control = undefined;
      at = end;
    } else {
      break;
    }
  }
  const [first] = parts;
  if (!first) return undefined;
  // As browsers do, a first frame that is larger than the screen makes it larger.
  const width = Math.max(bytes.readUInt16LE(6), first.x + first.width);
  const height = Math.max(bytes.readUInt16LE(8), first.y + first.height);
  return { width, height, parts };
}

function part(head: Buffer, control: Buffer | undefined, block: Buffer): Part {
  const [x, y, width, height] = [1, 3, 5, 7].map((at) => block.readUInt16LE(at)) as [number, number, number, number];
  const disposal = ((control?.[3] ?? 0) >> 2) & 7;
  const still = () => {
    const screen = Buffer.from(head);
    screen.write('GIF89a', 'latin1');
    screen.writeUInt16LE(width, 6);
    screen.writeUInt16LE(height, 8);
    const alone = Buffer.from(block);
    alone.writeUInt32LE(0, 1);
    return Buffer.concat([screen, control ?? Buffer.alloc(0), alone, Buffer.from([0x3b])]);
  };
  return { x, y, width, height, blend: 'Over', dispose: disposals[disposal] ?? 'Keep', still };
}

/** Bytes of the colour table that a packed field announces. */
function tableSize(packed: number): number {
  return packed & 0x80 ? 3 * 2 ** ((packed & 7) + 1) : 0;
}

/** The place after a chain of blocks of at most 255 bytes, which an empty one ends. */
function afterBlocks(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] !== 0) at += 1 + (bytes[at] as number);
  return Math.min(at + 1, bytes.length);
}
