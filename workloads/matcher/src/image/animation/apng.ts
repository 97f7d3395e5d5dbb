// Frames of an animated PNG (PNG specification, third edition), each as a PNG of its own. libvips reads the first alone.
import { type Animation, mostParts, type Part } from './part.ts';
import { chunk, chunksOf, signature } from './png.ts';

const blends = ['Source', 'Over'] as const;
const disposals = ['Keep', 'Clear', 'Restore'] as const;

/** Bytes of a palette. */
const mostShared = 3 * 256;

interface Frame extends Omit<Part, 'still'> {
  readonly data: Buffer[];
}

/** A frame may come in many chunks; of more than these, the rest is not read. */
const mostChunks = 100_000;

export function readApng(bytes: Buffer): Animation | undefined {
  let header: Buffer | undefined;
  let moves = false;
  let count = 0;
  /** What a frame needs to be read without the others. */
  const shared = new Map<string, Buffer>();
  const frames: Frame[] = [];
  for (const { type, data } of chunksOf(bytes)) {
    if (++count > mostChunks || frames.length > mostParts) break;
    if (type === 'IHDR' && data.length === 13) header ??= data;
    if (type === 'acTL') moves = true;
    // Without what says that it moves, before its first pixels, it is a still.
    if (type === 'IDAT' && !moves) return undefined;
    if ((type === 'PLTE' || type === 'tRNS') && data.length <= mostShared) shared.set(type, chunk(type, data));
    if (header) addTo(frames, { type, data, header });
  }
  if (!header) return undefined;
  const ihdr = header;
  const parts = frames
    .filter(({ data }) => data.length > 0)
    .map(({ data, ...rest }): Part => ({ ...rest, still: () => png(ihdr, rest, [...shared.values()], data) }));
  return { width: ihdr.readUInt32BE(0), height: ihdr.readUInt32BE(4), parts };
}

function addTo(frames: Frame[], { type, data, header }: { type: string; data: Buffer; header: Buffer }): void {
  if (type === 'fcTL' && data.length === 26) frames.push(frame(data));
  if (type === 'fdAT') frames.at(-1)?.data.push(data.subarray(4));
  if (type !== 'IDAT') return;
  if (frames.length === 0) frames.push(standsAlone(header));
  frames.at(-1)?.data.push(data);
}

function frame(control: Buffer): Frame {
  const [width, height, x, y] = [4, 8, 12, 16].map((at) => control.readUInt32BE(at)) as [
    number,
    number,
    number,
    number,
  ];
  const dispose = disposals[control[24] as number] ?? 'Keep';
  return { x, y, width, height, dispose, blend: blends[control[25] as number] ?? 'Over', data: [] };
}

/** The picture for who cannot play it: no part of the animation, which begins on an empty canvas after it. */
function standsAlone(header: Buffer): Frame {
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  return { x: 0, y: 0, width, height, dispose: 'Clear', blend: 'Source', data: [] };
}

function png(
  header: Buffer,
  { width, height }: Pick<Part, 'width' | 'height'>,
  shared: Buffer[],
  data: Buffer[],
): Buffer {
  const own = Buffer.from(header);
  own.writeUInt32BE(width, 0);
  own.writeUInt32BE(height, 4);
  return Buffer.concat([
    signature,
    chunk('IHDR', own),
    ...shared,
    ...data.map((each) => chunk('IDAT', each)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}
