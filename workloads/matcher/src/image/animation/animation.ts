// What moves in a file, whatever its format: parts that are drawn over each other, or pages that stand beside each other.
// Only the container is read here; that a file is a still is known by its first bytes, of a GIF by a walk over its blocks.
import type { ImageFormat } from '../decode.ts';
import { readApng } from './apng.ts';
import { readGif } from './gif.ts';
import type { Animation } from './part.ts';
import { readTiff } from './tiff.ts';
import { readWebp } from './webp.ts';

/** Of `pages`, the pixels of each. */
export type Frames =
  | { readonly animation: Animation; readonly pages?: never }
  | { readonly animation?: never; readonly pages: readonly number[] };

/** Undefined for a still. Where a container is damaged, it ends. */
export function framesOf(file: Uint8Array, format: ImageFormat): Frames | undefined {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.length);
  if (format === 'TIFF') {
    const pages = readTiff(bytes);
    return pages.length > 1 ? { pages } : undefined;
  }
  const animation = readers[format]?.(bytes);
  return animation && animation.parts.length > 1 ? { animation } : undefined;
}

const readers: Partial<Record<ImageFormat, (bytes: Buffer) => Animation | undefined>> = {
  GIF: readGif,
  WebP: readWebp,
  PNG: readApng,
};
