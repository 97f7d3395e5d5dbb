import { expect, test } from 'vitest';
import { VectorIndex } from './vector-index.ts';

const dimensions = 24;
const everything = { banks: new Set([1]), admits: () => true };

function random(seed: number): () => number {
  let state = Math.imul(seed + 1, 2_654_435_761) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32 - 0.5;
  };
}

function unit(values: Float32Array): Float32Array {
  const norm = Math.hypot(...values);
  return values.map((value) => value / norm);
}

/** Vectors around a few centres, as pictures of the same thing are. */
function clustered(count: number): Float32Array[] {
  const next = random(5);
  const centres = Array.from({ length: 40 }, () => Float32Array.from({ length: dimensions }, next));
  return Array.from({ length: count }, (_, i) =>
    unit((centres[i % 40] as Float32Array).map((value) => value + 0.5 * next())),
  );
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
}

test('finds what a comparison with every vector finds, few or many', () => {
  const vectors = clustered(5000);
  const index = new VectorIndex(dimensions);
  let [wanted, found] = [0, 0];
  let exact = true;
  for (const [number, vector] of vectors.entries()) {
    index.add(number, vector, 1);
    if (number !== 1500 && number !== 4999) continue;
    for (let i = 0; i < 50; i++) {
      const query = vectors[i * 29] as Float32Array;
      const near = vectors.slice(0, number + 1).flatMap((each, at) => (dot(each, query) >= 0.9 ? [at] : []));
      const matches = index.search(query, { ...everything, minSimilarity: 0.9 });
      expect(matches[0]).toMatchObject({ number: i * 29, similarity: expect.closeTo(1, 5) as number });
      const numbers = new Set(matches.map((match) => match.number));
      // So few are compared one by one.
      exact &&= number !== 1500 || (numbers.size === near.length && near.every((each) => numbers.has(each)));
      wanted += near.length;
      found += near.filter((each) => numbers.has(each)).length;
    }
  }
  expect(exact).toBe(true);
  expect(found / wanted).toBeGreaterThan(0.98);
});

test('what one bank has most of hides nothing of another', () => {
  const index = new VectorIndex(dimensions);
  const [query, near] = clustered(41).filter((_, i) => i % 40 === 0) as [Float32Array, Float32Array];
  for (let number = 0; number < 600; number++) index.add(number, query, 1);
  index.add(1000, near, 2);
  const found = index.search(query, { banks: new Set([1, 2]), admits: () => true, minSimilarity: 0.5 });
  expect([found.length, found.at(-1)?.number]).toEqual([501, 1000]);
});

test('items of other banks, hidden and removed ones take no place', () => {
  const vectors = clustered(4000);
  const index = new VectorIndex(dimensions);
  for (const [number, vector] of vectors.entries()) index.add(number, vector, number % 4 === 0 ? 2 : 1);
  const query = vectors[40] as Float32Array;
  const search = (more: object = {}) =>
    index
      .search(query, { ...everything, banks: new Set([2]), minSimilarity: 0.5, ...more })
      .map(({ number }) => number);
  expect(search()[0]).toBe(40);
  expect(search().every((number) => number % 4 === 0)).toBe(true);
  index.hide(40, true);
  expect(search()).not.toContain(40);
  index.hide(40, false);
  expect(search()).toContain(40);
  index.delete(40);
  expect(search()).not.toContain(40);
  expect(index.size).toBe(3999);
  // Of a thousand in the bank all but one are not asked for.
  expect(search({ admits: (number: number) => number === 80, minSimilarity: -1 })).toEqual([80]);
});

test('a vector of another length is left out, and finds nothing', () => {
  const index = new VectorIndex(dimensions);
  index.add(1, new Float32Array(3), 1);
  expect(index.size).toBe(0);
  expect(index.search(new Float32Array(3), { ...everything, minSimilarity: 0 })).toEqual([]);
});
