import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { animationOf, apng } from '../../testing/animation.ts';
import { formatOf, type ImageFormat } from '../decode.ts';
import { framesOf } from './animation.ts';
import { Canvas } from './canvas.ts';
import type { Animation } from './part.ts';

const [width, height] = [48, 32];

describe('frames are drawn as libvips draws them', () => {
  const ways = ['Keep', 'Clear', 'Restore'] as const;
  test.each(ways)('of a GIF whose frames leave transparent places and then %s', async (way) => {
    const gif = withDisposal(await animationOf('GIF', await discs()), ways.indexOf(way) + 1);
    expect(await apartFromTheirs(gif)).toBeLessThanOrEqual(1);
  });

  test.each([
    ['over', 0],
    ['over, and is cleared', 1],
    ['instead', 2],
    ['instead, and is cleared', 3],
  ])('of a WebP whose each frame is drawn %s', async (_, flags) => {
    const webp = await sharp(await discs(), { join: { animated: true } })
      .webp({ lossless: true, effort: 0, minSize: true })
      .toBuffer();
    expect(await apartFromTheirs(withFlags(webp, flags))).toBeLessThanOrEqual(1);
  });

  test('of a lossy WebP with an alpha channel', async () => {
    const webp = await sharp(await discs(), { join: { animated: true } })
      .webp({ quality: 90, effort: 0 })
      .toBuffer();
    expect(await apartFromTheirs(webp)).toBeLessThanOrEqual(1);
  });
});

describe('an APNG', () => {
  const red = plain('#ff0000ff', width, height);
  const small = plain('#0000ffff', 8, 4);
  const clear = plain('#00000000', 8, 4);
  const colours = async (file: Buffer) =>
    (await drawn(file)).map((frame) => [colour(frame, 0, 0), colour(frame, 12, 6), colour(frame, 40, 20)].join(' '));

  test('puts smaller frames in their place, over what was there', async () => {
    const file = await apng([await red, await small, await clear], [{}, { x: 10, y: 5 }, { x: 10, y: 5 }]);
    expect(await colours(file)).toEqual([
      'ff0000ff ff0000ff ff0000ff',
      'ff0000ff 0000ffff ff0000ff',
      'ff0000ff 0000ffff ff0000ff',
    ]);
  });

  test('replaces, clears and puts back as its frames say', async () => {
    const place = { x: 10, y: 5 };
    const file = await apng(
      [await red, await small, await clear, await small, await clear],
      [{}, { ...place, dispose: 2 }, { ...place, blend: 0 }, { ...place, dispose: 1 }, { x: 0, y: 0 }],
    );
    expect((await colours(file)).map((each) => each.split(' ')[1])).toEqual([
      'ff0000ff',
      '0000ffff',
      '00000000',
      '0000ffff',
      '00000000',
    ]);
  });

  test('has its picture for those who cannot play it as a frame of its own, and begins empty after it', async () => {
    const file = await apng([await red, await small], [null, { x: 10, y: 5 }]);
    expect(await colours(file)).toEqual(['ff0000ff ff0000ff ff0000ff', '00000000 0000ffff 00000000']);
  });

  test('is a still without the chunk that says it moves, or with that one behind its pixels', async () => {
    const file = await apng([await red, await small]);
    const silent = Buffer.from(file.toString('latin1').replace('acTL', 'zzTL'), 'latin1');
    expect(framesOf(silent, 'PNG')).toBeUndefined();
  });
});

test('stills have no frames', async () => {
  const [disc] = (await discs()) as [Buffer];
  for (const still of [
    sharp(disc).png(),
    sharp(disc).gif(),
    sharp(disc).webp(),
    sharp(disc).tiff(),
    sharp(disc).jpeg(),
  ]) {
    const file = await still.toBuffer();
    expect(framesOf(file, formatOf(file) as ImageFormat)).toBeUndefined();
  }
});

test('pages of a TIFF are told with their pixels, and a chain that leads back into itself ends', async () => {
  const file = await animationOf('TIFF', await discs());
  expect(framesOf(file, 'TIFF')?.pages).toEqual(Array(5).fill(width * height));
  const circle = Buffer.from('49492a0008000000000008000000', 'hex');
  expect(framesOf(circle, 'TIFF')).toBeUndefined();
});

test('what is cut anywhere, or has its bytes changed, is read to where it makes sense', async () => {
  const pictures = await discs();
  for (const format of ['GIF', 'WebP', 'APNG', 'TIFF'] as const) {
    const file = await animationOf(format, pictures);
    const type = formatOf(file) as ImageFormat;
    for (let cut = 12; cut < file.length; cut += 7) {
      const changed = Buffer.from(file);
      changed[cut] = (changed[cut] as number) ^ 0xff;
      for (const bad of [file.subarray(0, cut), changed]) {
        const { animation, pages } = framesOf(bad, type) ?? {};
        for (const part of animation?.parts ?? []) expect(part.still().length).toBeLessThan(file.length + 2000);
        expect(pages?.length ?? 0).toBeLessThanOrEqual(5);
      }
    }
  }
});

/** Most that a byte of any frame differs by from what libvips draws. */
async function apartFromTheirs(file: Buffer): Promise<number> {
  const frames = await drawn(file);
  expect(frames).toHaveLength(5);
  const apart = frames.map(async (frame, page) => {
    const theirs = await sharp(file, { page }).ensureAlpha().toColourspace('srgb').raw().toBuffer();
    return farthest(frame, theirs);
  });
  return Math.max(...(await Promise.all(apart)));
}

/** What no one sees of transparent pixels, their colour, is left out. */
function farthest(a: Buffer, b: Buffer): number {
  expect(a.length).toBe(b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) {
    const alpha = i | 3;
    if (i !== alpha && a[alpha] === 0 && b[alpha] === 0) continue;
    most = Math.max(most, Math.abs((a[i] as number) - (b[i] as number)));
  }
  return most;
}

async function drawn(file: Buffer): Promise<Buffer[]> {
  const animation = framesOf(file, formatOf(file) as ImageFormat)?.animation as Animation;
  const canvas = new Canvas(animation);
  const frames: Buffer[] = [];
  for (const part of animation.parts) {
    const { data, info } = await sharp(part.still())
      .ensureAlpha()
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true });
    canvas.draw(part, { data, width: info.width, height: info.height });
    frames.push(Buffer.from(canvas.data));
  }
  return frames;
}

function colour(frame: Buffer, x: number, y: number): string {
  return frame.toString('hex', 4 * (y * width + x), 4 * (y * width + x) + 4);
}

function plain(background: string, w: number, h: number): Promise<Buffer> {
  return sharp({ create: { width: w, height: h, channels: 4, background } })
    .png()
    .toBuffer();
}

/** A disc that moves over nothing. */
async function discs(): Promise<Buffer[]> {
  return await Promise.all(
    [0, 1, 2, 3, 4].map(async (step) => {
      const data = Buffer.alloc(4 * width * height);
      for (let i = 0; i < width * height; i++) {
        const [x, y] = [i % width, Math.floor(i / width)];
        if ((x - 8 - 7 * step) ** 2 + (y - 16) ** 2 < 60) data.set([40 * step, 200, 255 - 40 * step, 255], 4 * i);
      }
      return await sharp(data, { raw: { width, height, channels: 4 } })
        .png()
        .toBuffer();
    }),
  );
}

/** Of each graphic control extension. */
function withDisposal(gif: Buffer, disposal: number): Buffer {
  const out = Buffer.from(gif);
  for (let at = out.indexOf('21f904', 0, 'hex'); at >= 0; at = out.indexOf('21f904', at + 1, 'hex')) {
    out[at + 3] = ((out[at + 3] as number) & ~0x1c) | (disposal << 2);
  }
  return out;
}

/** Bit 0 clears the place of a frame after it, bit 1 replaces what was there. */
function withFlags(webp: Buffer, flags: number): Buffer {
  const out = Buffer.from(webp);
  for (let at = out.indexOf('ANMF'); at >= 0; at = out.indexOf('ANMF', at + 1)) out[at + 8 + 15] = flags;
  return out;
}
