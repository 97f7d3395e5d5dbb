import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { distance, formatHash, PdqHasher, type Pixels, parseHash, variants } from './pdq.ts';

interface Reference {
  width: number;
  height: number;
  kind: 'Noise' | 'Blocks';
  seed: number;
  quality: number;
  hash: string;
  dihedral: string[];
}

// Made once by PyPI pdqhash 0.2.8, which wraps the C++ reference, from the pixels that `pixelsOf` makes here.
const references = JSON.parse(
  readFileSync(new URL('./fixtures/reference.json', import.meta.url), 'utf8'),
) as Reference[];
const hasher = new PdqHasher();

test.each(references)('the hash of $width×$height $kind is the C++ reference’s, bit for bit', (reference) => {
  const { hash, quality } = hasher.hash(pixelsOf(reference));
  expect(formatHash(hash)).toBe(reference.hash);
  expect(quality).toBe(reference.quality);
});

test.each(references)('all eight variants of $width×$height $kind are the reference’s too', (reference) => {
  const { hashes } = hasher.dihedral(pixelsOf(reference));
  expect(hashes.map(formatHash)).toEqual(reference.dihedral);
});

test('a grey image has the hash of the same image in three equal channels', () => {
  const { width, height, data } = pixelsOf({ width: 131, height: 77, kind: 'Noise', seed: 9 });
  const grey = data.slice(0, width * height);
  const colour = Uint8Array.from({ length: 3 * grey.length }, (_, i) => grey[Math.floor(i / 3)] as number);
  expect(hasher.hash({ data: grey, width, height, channels: 1 })).toEqual(
    hasher.hash({ data: colour, width, height, channels: 3 }),
  );
});

test('mirroring the pixels gives the hash that the variant foretold, at a distance that counts as a match', () => {
  const foretold = hasher.dihedral(waves(false)).hashes;
  const { hash } = hasher.hash(waves(true));
  const distances = foretold.map((each) => distance(each, hash));
  expect(distances.indexOf(Math.min(...distances))).toBe(variants.indexOf('FlipY'));
  expect(Math.min(...distances)).toBeLessThanOrEqual(31);
});

test('an image narrower than five pixels has no hash, and a short buffer is refused', () => {
  expect(hasher.hash({ data: new Uint8Array(4 * 900), width: 4, height: 900, channels: 1 }).quality).toBe(0);
  expect(() => hasher.hash({ data: new Uint8Array(10), width: 10, height: 10, channels: 1 })).toThrow(/fewer pixels/);
  expect(() => hasher.hash({ data: new Uint8Array(0), width: 5000, height: 5000, channels: 1 })).toThrow(/to hash/);
});

test('hashes are written and read as 64 hexadecimal digits, and nothing else is', () => {
  const text = references[0]?.hash as string;
  expect(formatHash(parseHash(text.toUpperCase()))).toBe(text);
  expect(() => parseHash('abc')).toThrow(/64 hexadecimal/);
});

function pixelsOf({ width, height, kind, seed }: Pick<Reference, 'width' | 'height' | 'kind' | 'seed'>): Pixels {
  if (kind === 'Noise') return { data: noise(seed, width * height * 3), width, height, channels: 3 };
  const blocks = noise(seed, 8 * 8 * 3);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 3 * (Math.floor((y * 8) / height) * 8 + Math.floor((x * 8) / width));
      data.set(blocks.subarray(from, from + 3), 3 * (y * width + x));
    }
  }
  return { data, width, height, channels: 3 };
}

function waves(mirrored: boolean): Pixels {
  const size = 256;
  const data = Uint8Array.from({ length: size * size }, (_, at) => {
    const x = mirrored ? size - 1 - (at % size) : at % size;
    const y = Math.floor(at / size);
    return 128 + 50 * Math.sin(x / 9 + y / 31) + 40 * Math.cos(y / 13 - (x * x) / 3000) + 30 * Math.sin((x * y) / 2000);
  });
  return { data, width: size, height: size, channels: 1 };
}

function noise(seed: number, length: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
}
