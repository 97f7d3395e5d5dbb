import { expect, test } from 'vitest';
import type { Pixels } from '../pdq/pdq.ts';
import { type Alignment, align, complete, type Pair } from './align.ts';
import { FeatureExtractor, type Features, pack, unpack } from './extract.ts';
import { FeatureIndex, fewestAgreeing } from './feature-index.ts';

const extractor = new FeatureExtractor();

test('the same pixels give the same corners, and packing keeps them', () => {
  const features = extractor.extract(scene(1), 300);
  expect(features.count).toBeGreaterThan(100);
  expect(extractor.extract(scene(1), 300)).toEqual(features);
  expect(unpack(pack(features))).toEqual(features);
});

test('an image without corners has none, and a tiny one does no harm', () => {
  expect(extractor.extract({ data: new Uint8Array(200 * 200), width: 200, height: 200, channels: 1 }, 100).count).toBe(
    0,
  );
  expect(extractor.extract({ data: new Uint8Array(3), width: 1, height: 1, channels: 3 }, 100).count).toBe(0);
});

test('a crop finds its image among others, with the place that it was cut from', async () => {
  const index = new FeatureIndex();
  for (let seed = 0; seed < 20; seed++) index.add(seed, extractor.extract(scene(seed), 300));
  await index.settle();
  for (const seed of [0, 7, 13]) {
    const [match, ...others] = index.search(extractor.extract(cut(scene(seed), 90, 60, 260, 200), 500));
    expect(match?.number).toBe(seed);
    expect(others).toEqual([]);
    expect(match?.alignment.agreeing).toBeGreaterThanOrEqual(fewestAgreeing);
    expect(match?.alignment.transform.scale).toBeCloseTo(1, 1);
    expect(match?.alignment.transform.dx).toBeGreaterThan(-94);
    expect(match?.alignment.transform.dx).toBeLessThan(-86);
    expect(match?.alignment.itemShown).toBeGreaterThan(0.2);
    expect(match?.alignment.itemShown).toBeLessThan(0.4);
  }
  expect(index.search(extractor.extract(scene(99), 500))).toEqual([]);
});

test('a hidden item is not found until it is shown again', () => {
  const index = new FeatureIndex();
  const features = extractor.extract(scene(5), 300);
  index.add(5, features);
  index.hide(5, true);
  expect(index.search(features)).toEqual([]);
  index.hide(5, false);
  expect(index.search(features)).toHaveLength(1);
});

test('what one bank has most of hides nothing of another', () => {
  const index = new FeatureIndex();
  const whole = extractor.extract(scene(5), 300);
  for (let number = 0; number < 30; number++) index.add(number, whole, 1);
  index.add(100, extractor.extract(cut(scene(5), 20, 20, 400, 300), 300), 2);
  expect(index.search(whole, new Set([1, 2])).map(({ number }) => number)).toContain(100);
});

test('what is removed or hidden while parts are merged is not found, and all else is', async () => {
  const index = new FeatureIndex();
  const all = Array.from({ length: 15 }, (_, seed) => extractor.extract(scene(seed), 300));
  for (const [number, features] of all.entries()) {
    index.add(number, features);
    if (number === 8) index.delete(2);
    if (number === 9) index.hide(3, true);
  }
  const settled = index.settle();
  index.delete(5);
  index.hide(6, true);
  expect(index.search(all[7] as Features).map(({ number }) => number)).toEqual([7]);
  await settled;
  index.hide(6, false);
  const asked = [1, 2, 3, 5, 6, 14];
  const found = asked.filter((number) =>
    index.search(all[number] as Features).some((match) => match.number === number),
  );
  expect(found).toEqual([1, 6, 14]);
});

test('pairs that agree on a turn and a scale are told from those that do not', () => {
  const item = grid(0, 1);
  const query = grid(Math.PI / 2, 1.25);
  const right: Pair[] = Array.from({ length: 25 }, (_, i) => ({ query: i, item: i, distance: i }));
  const wrong: Pair[] = Array.from({ length: 20 }, (_, i) => ({ query: i, item: (i * 7 + 3) % 25, distance: 40 }));
  const alignment = align(query, item, [...right, ...wrong]);
  expect(alignment?.agreeing).toBeGreaterThanOrEqual(25);
  expect(alignment?.transform.scale).toBeCloseTo(1.25, 2);
  expect(alignment?.transform.turn).toBeCloseTo(Math.PI / 2, 2);
  expect(align(query, item, wrong)?.agreeing ?? 0).toBeLessThan(fewestAgreeing);
});

test('an alignment of few pairs is completed by corners where it says, and a wrong one is not', () => {
  const item = grid(0, 1);
  const query = grid(Math.PI / 2, 1.25);
  const few = align(
    query,
    item,
    Array.from({ length: 6 }, (_, i) => ({ query: 4 * i, item: 4 * i, distance: i })),
  ) as Alignment;
  expect(few.agreeing).toBe(6);
  expect(complete(query, item, few)).toMatchObject({ agreeing: 25, transform: { scale: expect.closeTo(1.25, 2) } });
  const shifted = { ...few, transform: { ...few.transform, dx: few.transform.dx + 20, dy: few.transform.dy - 23 } };
  expect(complete(query, item, shifted).agreeing).toBeLessThan(fewestAgreeing);
});

/** Twenty-five corners in a square, turned and scaled about its middle. */
function grid(turn: number, scale: number) {
  const count = 25;
  const place = Array.from({ length: count }, (_, i) => {
    const [x, y] = [((i % 5) - 2) * 40 + (i % 3) * 7, (Math.floor(i / 5) - 2) * 40 + (i % 4) * 5];
    return [
      Math.round(200 + scale * (Math.cos(turn) * x - Math.sin(turn) * y)),
      Math.round(200 + scale * (Math.sin(turn) * x + Math.cos(turn) * y)),
    ] as const;
  });
  return {
    count,
    width: 400,
    height: 400,
    x: Uint16Array.from(place, ([x]) => x),
    y: Uint16Array.from(place, ([, y]) => y),
    level: new Uint8Array(count).fill(scale > 1 ? 3 : 2),
    direction: new Uint8Array(count).fill(Math.round((turn / (2 * Math.PI)) * 256)),
    descriptors: new Uint8Array(32 * count),
  };
}

function cut({ data, width }: Pixels, left: number, top: number, w: number, h: number): Pixels {
  const out = new Uint8Array(w * h);
  for (let y = 0; y < h; y++) out.set(data.subarray((top + y) * width + left, (top + y) * width + left + w), y * w);
  return { data: out, width: w, height: h, channels: 1 };
}

/** Boxes of all sizes and shades, other for each seed. */
function scene(seed: number): Pixels {
  const [width, height] = [460, 340];
  const data = new Uint8Array(width * height).fill(120);
  let state = Math.imul(seed + 1, 2_654_435_761) | 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  for (let box = 0; box < 150; box++) {
    const [left, top, w, h] = [next() * width, next() * height, 6 + next() * 60, 6 + next() * 50];
    const shade = next() * 255;
    for (let y = Math.floor(top); y < Math.min(height, top + h); y++) {
      for (let x = Math.floor(left); x < Math.min(width, left + w); x++) data[y * width + x] = shade;
    }
  }
  return { data, width, height, channels: 1 };
}
