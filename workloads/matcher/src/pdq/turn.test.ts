import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { distance, parseHash, variants } from './pdq.ts';
import { turned } from './turn.ts';

// Made by PyPI pdqhash, which turns the transform itself.
const references = JSON.parse(readFileSync(new URL('./fixtures/reference.json', import.meta.url), 'utf8')) as {
  hash: string;
  quality: number;
  dihedral: string[];
}[];

test('hashes turned from the hash alone are near the reference’s, which are of the image, and of the right variant', () => {
  const far = references
    .filter(({ quality }) => quality >= 50)
    .flatMap(({ hash, dihedral }) =>
      dihedral.map((text, i) => distance(turned(parseHash(hash), variants[i] ?? 'Original'), parseHash(text))),
    )
    .sort((a, b) => a - b);
  expect(far.length).toBeGreaterThan(50);
  expect(far[far.length >> 1]).toBeLessThanOrEqual(6);
  expect(far.at(-1)).toBeLessThanOrEqual(31);
});

test.each([
  ['Rotate90', 'Rotate270'],
  ['Rotate180', 'Rotate180'],
  ['FlipX', 'FlipX'],
  ['FlipY', 'FlipY'],
  ['FlipDiagonal', 'FlipDiagonal'],
  ['FlipAntidiagonal', 'FlipAntidiagonal'],
] as const)('%s and then %s is the hash as it was', (there, back) => {
  for (const { hash } of references)
    expect(turned(turned(parseHash(hash), there), back)).toEqual(new Uint8Array(parseHash(hash)));
});
