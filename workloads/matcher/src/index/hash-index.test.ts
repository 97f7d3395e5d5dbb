import fc from 'fast-check';
import { expect, test } from 'vitest';
import { distance } from '../pdq/pdq.ts';
import { type Columns, HashIndex } from './hash-index.ts';
import { flag } from './segment.ts';

test('finds exactly what a comparison with every hash finds, at any radius, in tail and segments', async () => {
  const { hashes, numbers } = clustered(6000, 7);
  const index = new HashIndex({ tail: 256 });
  await index.load(columnsOf(hashes.slice(0, 4000), numbers.slice(0, 4000)));
  for (let i = 4000; i < hashes.length; i++) add(index, numbers[i] as number, hashes[i] as Uint8Array);
  await index.settle();
  for (const radius of [0, 15, 31, 40, 63, 90]) {
    for (let i = 0; i < hashes.length; i += 500) {
      const query = flip(hashes[i] as Uint8Array, i % 50, i);
      expect(index.search(query, radius).map((match) => [match.number, match.distance])).toEqual(
        compareWithAll(hashes, numbers, query, radius),
      );
    }
  }
});

test('an item is found the moment it is added and gone the moment it is hidden, while segments are merged', async () => {
  const { hashes, numbers } = clustered(1500, 3);
  const index = new HashIndex({ tail: 128 });
  for (let i = 0; i < hashes.length; i++) {
    const number = numbers[i] as number;
    const hash = hashes[i] as Uint8Array;
    add(index, number, hash);
    expect(index.search(hash, 0).some((match) => match.number === number)).toBe(true);
    if (i % 3 === 0) index.setFlags(number, flag.Disabled);
    if (i % 50 === 0) await new Promise(setImmediate);
    expect(index.search(hash, 0).some((match) => match.number === number)).toBe(i % 3 !== 0);
  }
  await index.settle();
  for (let i = 0; i < hashes.length; i++) {
    const found = index.search(hashes[i] as Uint8Array, 0).some((match) => match.number === numbers[i]);
    expect(found).toBe(i % 3 !== 0);
  }
  expect(index.size).toBe(hashes.length);
});

test('flags hide and show again, removal is for good once segments are merged', async () => {
  const { hashes, numbers } = clustered(300, 5);
  const index = new HashIndex({ tail: 100 });
  hashes.forEach((hash, i) => add(index, numbers[i] as number, hash));
  const [number, hash] = [numbers[20] as number, hashes[20] as Uint8Array];
  for (const hidden of [flag.Disabled, flag.Quarantined, flag.Disabled | flag.Quarantined]) {
    index.setFlags(number, hidden);
    expect(index.search(hash, 0).map((match) => match.number)).not.toContain(number);
    index.setFlags(number, 0);
    expect(index.search(hash, 0).map((match) => match.number)).toContain(number);
  }
  index.setFlags(number, flag.Removed);
  expect(index.size).toBe(299);
  expect(index.get(number)).toBeUndefined();
  await index.settle();
  expect(index.search(hash, 0).map((match) => match.number)).not.toContain(number);
  expect(index.setFlags(999_999, 0)).toBe(false);
});

test('while a thread builds the tables, all is found, and what is hidden meanwhile stays hidden', async () => {
  const count = 150_000;
  const next = random(9);
  const hashes = Uint32Array.from({ length: 8 * count }, () => next());
  const hashAt = (i: number) => new Uint8Array(hashes.buffer.slice(32 * i, 32 * i + 32));
  const index = new HashIndex();
  await index.load({
    count,
    hashes: new Uint8Array(hashes.buffer),
    // Each two change places, so that they must be sorted.
    numbers: Uint32Array.from({ length: count }, (_, i) => (i ^ 1) + 1),
    banks: new Uint16Array(count),
    flags: Uint8Array.from({ length: count }, (_, i) => (i % 10 === 0 ? flag.Removed : 0)),
  });
  expect(index.size).toBe(count - count / 10);
  const settled = index.settle();
  const busy = { now: true };
  void settled.finally(() => (busy.now = false));
  let turns = 0;
  for (let i = 1; busy.now; i += 10, turns++) {
    expect(index.search(hashAt(i % count), 31)).toEqual([{ number: (i ^ 1) + 1, bank: 0, distance: 0 }]);
    index.setFlags(((i % count) ^ 1) + 1, flag.Disabled);
    expect(index.search(hashAt(i % count), 31)).toEqual([]);
    await new Promise(setImmediate);
  }
  await settled;
  expect(turns).toBeGreaterThan(1);
  for (let i = 1; i < 10 * turns; i += 10) expect(index.search(hashAt(i), 31)).toEqual([]);
  for (let i = 2; i < count; i += 997) {
    const found =
      i % 10 === 0 || (i % 10 === 1 && i < 10 * turns) ? [] : [{ number: (i ^ 1) + 1, bank: 0, distance: 0 }];
    expect(index.search(hashAt(i), 31)).toEqual(found);
  }
});

test('a number is taken once, whatever arrives twice', () => {
  const index = new HashIndex();
  const { hashes } = clustered(2, 1);
  expect(index.add({ number: 5, hash: hashes[0] as Uint8Array, bank: 0, flags: 0 })).toBe(true);
  expect(index.add({ number: 5, hash: hashes[1] as Uint8Array, bank: 0, flags: 0 })).toBe(false);
  expect(index.get(5)?.hash).toEqual(hashes[0]);
});

test('of a flood of near duplicates the nearest are returned', async () => {
  const count = 20_000;
  const hashes = Array.from({ length: count }, (_, i) => flip(new Uint8Array(32), i < 1000 ? 1 : 9, i + 1));
  const index = new HashIndex();
  await index.load(
    columnsOf(
      hashes,
      hashes.map((_, i) => i + 1),
    ),
  );
  const matches = index.search(new Uint8Array(32), 31);
  const near = hashes.filter((hash) => distance(hash, new Uint8Array(32)) <= 1).length;
  expect(matches.length).toBeGreaterThanOrEqual(1000);
  expect(matches.length).toBeLessThanOrEqual(16_384);
  expect(matches.filter((match) => match.distance <= 1)).toHaveLength(near);
});

test.each([0, 16] as const)(
  'of a flood of equally far items before nearer ones, all nearer ones are returned, and no hash changes: %i tables',
  async (tables) => {
    const far = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 255 : 0));
    const near = Array.from({ length: 60 }, (_, i) => flip(new Uint8Array(32), 3, i + 1));
    const hashes = [...Array.from({ length: 17_000 }, () => far), ...near];
    const index = new HashIndex({ tables });
    await index.load(
      columnsOf(
        hashes,
        hashes.map((_, i) => i + 1),
      ),
    );
    for (let round = 0; round < 2; round++) {
      const matches = index.search(new Uint8Array(32), 31);
      expect(
        matches
          .slice(0, 60)
          .map(({ number }) => number)
          .sort((a, b) => a - b),
      ).toEqual(near.map((_, i) => 17_001 + i));
      expect(matches.length).toBeGreaterThan(8000);
      expect(matches.length).toBeLessThanOrEqual(16_384);
      expect(new Set(matches.slice(60).map((match) => match.distance))).toEqual(new Set([8]));
    }
    for (let i = 0; i < hashes.length; i++) expect(index.get(i + 1)?.hash).toEqual(hashes[i]);
  },
);

test('items of banks that are not asked for neither appear nor take the place of others', async () => {
  const index = new HashIndex({ tail: 20_000 });
  for (let number = 1; number <= 17_000; number++) index.add({ number, hash: new Uint8Array(32), bank: 300, flags: 0 });
  const own = {
    number: 20_000,
    hash: Uint8Array.from({ length: 32 }, (_, i) => (i === 3 ? 31 : 0)),
    bank: 40_000,
    flags: 0,
  };
  index.add(own);
  for (let settled = 0; settled < 2; settled++) {
    expect(index.search(new Uint8Array(32), 31, new Set([40_000, 7]))).toEqual([
      { number: 20_000, bank: 40_000, distance: 5 },
    ]);
    expect(index.search(new Uint8Array(32), 31, new Set())).toEqual([]);
    expect(index.search(new Uint8Array(32), 31, new Set([300]))[0]).toEqual({ number: 1, bank: 300, distance: 0 });
    for (const hash of Array.from({ length: 4000 }, (_, i) => flip(new Uint8Array(32), 100, i))) {
      index.add({ number: 30_000 + index.size, hash, bank: 1, flags: 0 });
    }
    await index.settle();
  }
});

test('what a snapshot takes out gives the same index again', async () => {
  const { hashes, numbers } = clustered(700, 11);
  const index = new HashIndex({ tail: 200 });
  hashes.forEach((hash, i) =>
    index.add({ number: numbers[i] as number, hash, bank: i % 7, flags: i % 5 === 0 ? 2 : 0 }),
  );
  await index.settle();
  const copy = new HashIndex();
  for (const columns of index.columns()) await copy.load(columns);
  expect(copy.size).toBe(index.size);
  for (let i = 0; i < hashes.length; i += 10) {
    expect(copy.search(hashes[i] as Uint8Array, 31)).toEqual(index.search(hashes[i] as Uint8Array, 31));
    expect(copy.get(numbers[i] as number)).toEqual(index.get(numbers[i] as number));
  }
});

test('whatever is added, hidden and asked in any order, the answer is that of a plain list', async () => {
  const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const step = fc.oneof(
    fc.record({ add: fc.integer({ min: 1, max: 60 }), hash }),
    fc.record({ hide: fc.integer({ min: 1, max: 60 }), flags: fc.integer({ min: 0, max: 7 }) }),
    fc.record({ near: fc.integer({ min: 1, max: 60 }), bits: fc.integer({ min: 0, max: 40 }) }),
    fc.constant({ settle: true }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const index = new HashIndex({ tail: 4, tables: 16 });
      const list = new Map<number, { hash: Uint8Array; flags: number }>();
      for (const each of steps) {
        if ('add' in each) {
          if (!list.has(each.add)) list.set(each.add, { hash: each.hash, flags: 0 });
          index.add({ number: each.add, hash: list.get(each.add)?.hash as Uint8Array, bank: 0, flags: 0 });
        } else if ('hide' in each) {
          const known = list.get(each.hide);
          // What was removed may be forgotten, so only hiding is asked for here.
          if (known) known.flags = each.flags & ~flag.Removed;
          index.setFlags(each.hide, each.flags & ~flag.Removed);
        } else if ('settle' in each) {
          await index.settle();
        }
        const near = 'near' in each ? each : { near: 1, bits: 3 };
        const query = flip(list.get(near.near)?.hash ?? new Uint8Array(32), near.bits, near.near);
        const shown = [...list].filter(([, item]) => item.flags === 0).sort(([a], [b]) => a - b);
        expect(index.search(query, 31).map((match) => [match.number, match.distance])).toEqual(
          compareWithAll(
            shown.map(([, item]) => item.hash),
            shown.map(([number]) => number),
            query,
            31,
          ),
        );
      }
    }),
    { numRuns: 25 },
  );
});

function add(index: HashIndex, number: number, hash: Uint8Array): void {
  index.add({ number, hash, bank: 0, flags: 0 });
}

function columnsOf(hashes: readonly Uint8Array[], numbers: readonly number[]): Columns {
  const count = hashes.length;
  return {
    count,
    hashes: Uint8Array.from({ length: 32 * count }, (_, i) => hashes[Math.floor(i / 32)]?.[i % 32] as number),
    numbers: Uint32Array.from(numbers),
    banks: new Uint16Array(count),
    flags: new Uint8Array(count),
  };
}

function compareWithAll(hashes: readonly Uint8Array[], numbers: readonly number[], query: Uint8Array, radius: number) {
  return hashes
    .map((hash, i) => [numbers[i] as number, distance(hash, query)] as const)
    .filter(([, far]) => far <= radius)
    .sort((a, b) => a[1] - b[1] || a[0] - b[0])
    .map((pair) => [...pair]);
}

/** Half of them near one of a few centres, as photographs of the same thing are; numbers out of order. */
function clustered(count: number, seed: number) {
  const next = random(seed);
  const hashes: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const centre = i > 20 && i % 2 === 0 ? hashes[next() % 20] : undefined;
    hashes.push(centre ? flip(centre, next() % 70, next()) : Uint8Array.from({ length: 32 }, () => next() & 255));
  }
  const numbers = hashes.map((_, i) => (i ^ 5) + 1);
  return { hashes, numbers };
}

function flip(hash: Uint8Array, bits: number, seed: number): Uint8Array {
  const next = random(seed + 1);
  const out = hash.slice();
  for (let i = 0; i < bits; i++) {
    const bit = next() % 256;
    out[bit >> 3] = (out[bit >> 3] as number) ^ (1 << (bit & 7));
  }
  return out;
}

function random(seed: number): () => number {
  let state = Math.imul(seed, 2_654_435_761) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
