import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { distance, PdqHasher } from '../pdq/pdq.ts';
import { animationOf, moving } from '../testing/animation.ts';
import { picture } from '../testing/picture.ts';
import { decode, defaultLimits, type WorkingPixels } from './decode.ts';
import { decodeFrames, mostJudged } from './frames.ts';

const hasher = new PdqHasher();

describe('of what moves', () => {
  test.each(moving)('%s, a picture that is shown in one frame among many is judged', async (format) => {
    const hidden = await shrunk(7);
    const file = await animationOf(format, await clip(21, { 10: hidden }));
    const { frames, of, read } = await decodeFrames(file);
    expect([of, read, frames[0].index]).toEqual([21, 21, 0]);
    expect(frames.length).toBeLessThanOrEqual(mostJudged);
    const shown = frames.find(({ index }) => index === 10);
    expect(distance(hashOf(shown?.pixels as WorkingPixels), hashOf((await decode(hidden)).pixels))).toBeLessThan(20);
  });

  test('plain frames of many colours, or such as are hardly seen, take no place of a picture', async () => {
    const plain = async (hue: number) => {
      const background = { r: (hue * 83) % 256, g: (hue * 147) % 256, b: (hue * 211) % 256 };
      return await sharp({ create: { width: 160, height: 120, channels: 3, background } })
        .png()
        .toBuffer();
    };
    const faint = async (seed: number) =>
      await sharp(await shrunk(seed))
        .linear(0.02, 120)
        .png()
        .toBuffer();
    const others = await Promise.all([...Array(12).keys()].flatMap((i) => [plain(i), faint(i)]));
    others[17] = await sharp(await shrunk(50))
      .linear(0.4, 90)
      .png()
      .toBuffer();
    const { frames } = await decodeFrames(await animationOf('APNG', others));
    expect(frames.map(({ index }) => index)).toContain(17);
  });

  test('the first frame is what it was for whoever decodes it alone', async () => {
    for (const format of moving) {
      const file = await animationOf(format, await clip(3));
      const { frames } = await decodeFrames(file);
      expect(frames[0].pixels).toEqual((await decode(file)).pixels);
    }
  });

  test('frames that look the same are judged once', async () => {
    const same = await shrunk(3);
    const { frames, of, read } = await decodeFrames(await animationOf('APNG', [same, same, same]));
    expect([frames.length, of, read]).toEqual([1, 3, 3]);
  });

  test('no other frame is decoded where the first suffices', async () => {
    const file = await animationOf('GIF', await clip(5));
    expect(await decodeFrames(file, defaultLimits, { suffices: () => true })).toMatchObject({ of: 5, read: 1 });
  });
});

test('a still is one frame', async () => {
  const { frames, of, read } = await decodeFrames(await picture(1));
  expect([frames.length, of, read]).toEqual([1, 1, 1]);
});

describe('bounds', () => {
  test('all frames together have the pixels of the largest still, and how many were read is told', async () => {
    const pictures = await clip(12);
    const limits = { ...defaultLimits, maxPixels: 5 * (1 << 16) };
    for (const format of moving) {
      const { of, read } = await decodeFrames(await animationOf(format, pictures), limits);
      expect(of).toBe(12);
      expect(read).toBeGreaterThan(1);
      expect(read).toBeLessThanOrEqual(5);
    }
    const pages = await decodeFrames(await animationOf('TIFF', await clip(12, { 11: await shrunk(5) })), limits);
    expect(pages.frames.map(({ index }) => index)).toContain(11);
  });

  test('of a canvas that is too large to be kept, the first frame alone is judged', async () => {
    const file = await animationOf('WebP', await clip(4));
    const limits = { ...defaultLimits, maxPixels: 2 * 160 * 120 };
    expect(await decodeFrames(file, limits)).toMatchObject({ of: 4, read: 1, frames: [{ index: 0 }] });
  });

  test('frames that take longer than an image may are refused, and so is what nobody waits for', async () => {
    const file = await animationOf('GIF', await clip(3));
    await expect(decodeFrames(file, { ...defaultLimits, seconds: 0 })).rejects.toMatchObject({ code: 'ImageTimeout' });
    const signal = AbortSignal.abort();
    await expect(decodeFrames(file, defaultLimits, { signal })).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  test('a later frame that is damaged, or says it is small and is not, is refused by its place', async () => {
    const pictures = await clip(4, { 2: await shrunk(9) });
    const webp = await animationOf('WebP', pictures);
    for (let at = webp.indexOf('ANMF'), i = 0; at >= 0; at = webp.indexOf('ANMF', at + 1), i++) {
      if (i === 2) webp.writeUIntLE(0, at + 8 + 6, 3);
    }
    await expect(decodeFrames(webp)).rejects.toMatchObject({
      code: 'ImageTooLarge',
      message: expect.stringContaining('frame 2: ') as string,
    });
    const gif = await animationOf('GIF', pictures);
    await expect(decodeFrames(gif.subarray(0, gif.length - 200))).rejects.toMatchObject({
      code: 'ImageUnreadable',
      message: expect.stringMatching(/^frame \d: /) as string,
    });
  });
});

function hashOf(pixels: WorkingPixels): Uint8Array {
  return hasher.hash(pixels).hash;
}

/** Calm frames, each a little other than the one before. */
async function clip(count: number, others: Record<number, Buffer> = {}): Promise<Buffer[]> {
  const base = await shrunk(100);
  return await Promise.all(
    Array.from(
      { length: count },
      async (_, i) =>
        others[i] ??
        (await sharp(base)
          .modulate({ brightness: 1 + 0.02 * (i % 9) })
          .png()
          .toBuffer()),
    ),
  );
}

async function shrunk(seed: number): Promise<Buffer> {
  return await sharp(await picture(seed))
    .resize(160, 120)
    .png()
    .toBuffer();
}
