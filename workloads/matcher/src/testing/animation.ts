// Animations for tests, of pictures that are all of one size.
import sharp from 'sharp';
import { chunk, chunksOf, signature } from '../image/animation/png.ts';

export type Moving = 'GIF' | 'WebP' | 'APNG' | 'TIFF';

export const moving: readonly Moving[] = ['GIF', 'WebP', 'APNG', 'TIFF'];

export async function animationOf(format: Moving, pictures: readonly Buffer[]): Promise<Buffer> {
  if (format === 'APNG') return await apng(pictures);
  const joined = sharp([...pictures], { join: { animated: true } });
  if (format === 'GIF') return await joined.gif({ effort: 1 }).toBuffer();
  if (format === 'WebP') return await joined.webp({ effort: 0, quality: 80 }).toBuffer();
  return await joined.tiff().toBuffer();
}

/** How a frame of an APNG is drawn; by default the whole canvas, over what was there. */
export interface Placed {
  readonly x?: number;
  readonly y?: number;
  /** 0 keeps it, 1 clears its place, 2 puts back what was there. */
  readonly dispose?: 0 | 1 | 2;
  /** 0 replaces, 1 is drawn over. */
  readonly blend?: 0 | 1;
}

/** @param placed By the place of the picture; `null` for a first picture that is not of the animation. */
export async function apng(pictures: readonly Buffer[], placed: readonly (Placed | null)[] = []): Promise<Buffer> {
  const out: Buffer[] = [];
  let sequence = 0;
  for (const [i, picture] of pictures.entries()) {
    const { width, height } = await sharp(picture).metadata();
    const plain = await sharp(picture).ensureAlpha().png().toBuffer();
    const chunks = [...chunksOf(plain)];
    const data = chunks.flatMap((each) => (each.type === 'IDAT' ? [each.data] : []));
    const header = chunks.find(({ type }) => type === 'IHDR')?.data ?? Buffer.alloc(0);
    const place = placed[i];
    if (i === 0) {
      const control = Buffer.alloc(8);
      control.writeUInt32BE(pictures.length - (place === null ? 1 : 0), 0);
      out.push(signature, chunk('IHDR', header), chunk('acTL', control));
    }
    if (place !== null) {
      const control = Buffer.alloc(26);
      for (const [at, value] of [sequence++, width, height, place?.x ?? 0, place?.y ?? 0].entries())
        control.writeUInt32BE(value, 4 * at);
      control.writeUInt16BE(1, 20);
      control.writeUInt16BE(10, 22);
      control.set([place?.dispose ?? 0, place?.blend ?? 1], 24);
      out.push(chunk('fcTL', control));
    }
    for (const each of data) {
      const number = Buffer.alloc(4);
      if (i > 0) number.writeUInt32BE(sequence++);
      out.push(i === 0 ? chunk('IDAT', each) : chunk('fdAT', Buffer.concat([number, each])));
    }
  }
  return Buffer.concat([...out, chunk('IEND', Buffer.alloc(0))]);
}
