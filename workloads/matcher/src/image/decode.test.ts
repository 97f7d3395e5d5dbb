import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { distance, PdqHasher } from '../pdq/pdq.ts';
import { chunk, signature } from './animation/png.ts';
import { decode, defaultLimits, digest, formatOf } from './decode.ts';

const width = 640;
const height = 400;
const hasher = new PdqHasher();

describe('what is an image', () => {
  test.each([
    ['JPEG', () => picture().jpeg({ quality: 90 })],
    ['PNG', () => picture().png()],
    ['WebP', () => picture().webp({ quality: 90 })],
    ['TIFF', () => picture().tiff()],
    ['GIF', () => picture().gif()],
    ['AVIF', () => picture().avif({ quality: 80, effort: 0 })],
  ])('%s is decoded to a small RGB image with nearly the same hash', async (format, encode) => {
    const image = await decode(await encode().toBuffer());
    expect(image).toMatchObject({ format, pixels: { width: 512, height: 320, channels: 3 } });
    expect(distance(hashOf(image), await referenceHash())).toBeLessThanOrEqual(16);
  });

  test.each([
    ['sixteen bits a channel', () => picture().toColourspace('rgb16').png()],
    ['grey', () => picture().greyscale().png()],
    ['CMYK', () => picture().toColourspace('cmyk').jpeg({ quality: 95 })],
    ['a transparent layer', () => picture().ensureAlpha(1).png()],
    ['a palette', () => picture().png({ palette: true })],
  ])('an image in %s becomes RGB of eight bits', async (_, encode) => {
    const { pixels } = await decode(await encode().toBuffer());
    expect(pixels.data.length).toBe(pixels.width * pixels.height * 3);
    expect(distance(hashOf({ pixels }), await referenceHash())).toBeLessThanOrEqual(31);
  });

  test('orientation from the metadata is applied', async () => {
    const turned = await picture().rotate(90).jpeg({ quality: 95 }).withMetadata({ orientation: 8 }).toBuffer();
    const image = await decode(turned);
    expect([image.pixels.width, image.pixels.height]).toEqual([512, 320]);
    expect(distance(hashOf(image), await referenceHash())).toBeLessThanOrEqual(16);
  });

  test('of an animation the first frame is decoded', async () => {
    const frames = await Promise.all(
      [0, 1, 2].map((seed) =>
        sharp(waves(64, 64, seed), raw(64, 64))
          .png()
          .toBuffer(),
      ),
    );
    const animated = await sharp(frames, { join: { animated: true } })
      .gif()
      .toBuffer();
    expect(await decode(animated)).toMatchObject({ pixels: { width: 64, height: 64 } });
  });

  test('one pixel is an image, of no quality', async () => {
    const { pixels } = await decode(await sharp(Buffer.alloc(3), raw(1, 1)).png().toBuffer());
    expect(pixels).toMatchObject({ width: 1, height: 1 });
    expect(hasher.hash(pixels).quality).toBe(0);
  });
});

describe('what is refused', () => {
  test('a truncated file', async () => {
    const file = await picture().jpeg().toBuffer();
    await expect(decode(file.subarray(0, file.length / 2))).rejects.toMatchObject({ code: 'ImageUnreadable' });
    const png = await picture().png().toBuffer();
    await expect(decode(png.subarray(0, png.length / 2))).rejects.toMatchObject({ code: 'ImageUnreadable' });
  });

  test('a header with noise behind it', async () => {
    const noise = Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919) % 251));
    for (const head of ['\xff\xd8\xff\xe0', '\x89PNG\r\n\x1a\n', 'GIF89a', 'RIFF\0\0\0\0WEBP', 'II*\0']) {
      const file = Buffer.concat([Buffer.from(head, 'latin1'), noise]);
      await expect(decode(file)).rejects.toMatchObject({ code: expect.stringMatching(/^Image/) as string });
    }
  });

  test('SVG, with or without references to elsewhere, and everything that is no image', async () => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd" width="9" height="9"/></svg>';
    for (const text of [svg, `<?xml version="1.0"?>${svg}`, '%PDF-1.7', 'hello', '']) {
      await expect(decode(Buffer.from(text))).rejects.toMatchObject({ code: 'ImageUnsupported' });
    }
  });

  test('an AVIF sequence, whose first frame alone could be read', async () => {
    const file = await picture().avif({ effort: 0 }).toBuffer();
    file.write('avis', 8, 'latin1');
    await expect(decode(file)).rejects.toMatchObject({ code: 'ImageUnsupported' });
  });

  test('a small file that says it has more pixels than are taken', async () => {
    await expect(decode(bomb(60_000, 60_000))).rejects.toMatchObject({ code: 'ImageTooLarge', statusCode: 413 });
    await expect(decode(await picture().png().toBuffer(), { ...defaultLimits, maxPixels: 1000 })).rejects.toMatchObject(
      { code: 'ImageTooLarge' },
    );
  });

  test('a file of more bytes than are taken', async () => {
    const file = await picture().png().toBuffer();
    await expect(decode(file, { ...defaultLimits, maxBytes: file.length - 1 })).rejects.toMatchObject({
      code: 'ImageTooLarge',
    });
  });
});

test('the digest is of the bytes, the format of the first bytes', async () => {
  const file = await picture().png().toBuffer();
  expect(digest(file)).toBe(digest(Buffer.from(file)));
  expect(digest(file)).toMatch(/^[0-9a-f]{64}$/);
  expect(formatOf(file)).toBe('PNG');
});

function hashOf({ pixels }: Pick<Awaited<ReturnType<typeof decode>>, 'pixels'>) {
  return hasher.hash(pixels).hash;
}

async function referenceHash() {
  return hashOf(await decode(await picture().png().toBuffer()));
}

function picture() {
  return sharp(waves(width, height, 0), raw(width, height));
}

function raw(w: number, h: number) {
  return { raw: { width: w, height: h, channels: 3 } } as const;
}

function waves(w: number, h: number, seed: number): Buffer {
  const data = Buffer.alloc(w * h * 3);
  for (let i = 0; i < data.length; i++) {
    const x = Math.floor(i / 3) % w;
    const y = Math.floor(i / 3 / w);
    data[i] = 128 + 60 * Math.sin(x / 23 + y / 41 + seed + (i % 3)) + 60 * Math.cos((x * y) / 9000 + y / 17);
  }
  return data;
}

/** A PNG of a few hundred bytes whose header promises any size. */
function bomb(w: number, h: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(w, 0);
  header.writeUInt32BE(h, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const body = deflateSync(Buffer.alloc(100_000));
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', body), chunk('IEND', Buffer.alloc(0))]);
}
