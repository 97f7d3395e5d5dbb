import '../testing/commonjs.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Actor, NewItem } from '../record/record.ts';
import { Replica } from '../replica/replica.ts';
import { record, useRecord } from '../testing/record.ts';
import { Matcher, type MatcherOptions, type Query } from './matcher.ts';

useRecord();

let replica: Replica;
let matcher: Matcher;

beforeAll(async () => {
  replica = await Replica.open({ record, minQuality: 50 });
  matcher = new Matcher(options());
});

afterAll(async () => {
  await replica?.close();
});

const options = (more: Partial<MatcherOptions> = {}): MatcherOptions => ({
  replica,
  record,
  rules: { maxDistance: 31, profileWeight: 0.3, minProfileSimilarity: 0.85, minEmbeddingSimilarity: 0.75 },
  minQuality: 50,
  dihedral: true,
  crops: true,
  phonetic: true,
  ...more,
});

/** A hash with the first so many bits set. */
function hash(bits: number): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => (1 << Math.max(0, Math.min(8, bits - 8 * i))) - 1);
}

const items = (count: number, bank: string, more: Partial<NewItem>): NewItem[] =>
  Array.from({ length: count }, (_, i) => ({ id: `${bank}-${i}`, bank, quality: 100, ...more }));

function query(tenant: string, more: Partial<Query> = {}): Query {
  const hashes = [Buffer.from(hash(0)).toString('hex')];
  const fingerprint = { sha256: null, hashes, quality: 100, features: null, mirrored: null, embedding: null };
  return { tenant, level: 'Balanced', topK: 10, minScore: 0.5, fingerprint, ...more };
}

async function actorWith(tenant: string, banks: Record<string, object>): Promise<Actor> {
  const actor = { tenant, name: 'tester' };
  for (const [name, change] of Object.entries(banks)) await record.setBank(actor, name, change);
  return actor;
}

test('what another tenant or bank holds hides no item, however much of it is nearer', async () => {
  const other = await actorWith('other', { popular: {} });
  await record.register(other, items(700, 'popular', { hash: hash(0), profile: { name: 'John Smith' } }));
  const own = await actorWith('own', { popular: {}, rare: {} });
  await record.register(own, items(700, 'popular', { hash: hash(1), profile: { name: 'John Smith' } }));
  await record.register(own, items(1, 'rare', { hash: hash(9), profile: { name: 'Jon Smith' } }));
  await replica.look();
  expect((await matcher.match(query('own'))).matches.map(({ bank }) => bank)).toEqual(Array(10).fill('popular'));
  expect(await matcher.match(query('own', { banks: ['rare'] }))).toMatchObject({ matches: [{ item: 'rare-0' }] });
  const named = { profile: { name: 'John Smith' }, fingerprint: undefined, banks: ['rare'] };
  expect(await matcher.match(query('own', named))).toMatchObject({ matches: [{ item: 'rare-0' }] });
  expect((await matcher.match(query('nobody'))).matched).toBe(false);
});

test('a negative bank suppresses, however many positive items are nearer', async () => {
  const actor = await actorWith('guarded', { faces: {}, consented: { kind: 'Negative', suppresses: ['faces'] } });
  await record.register(actor, items(600, 'faces', { hash: hash(0) }));
  await record.register(actor, items(1, 'consented', { hash: hash(12) }));
  await replica.look();
  const { matched, suppressed } = await matcher.match(query('guarded'));
  expect({ matched, suppressed: suppressed.length }).toEqual({ matched: false, suppressed: 10 });
  expect(suppressed[0]?.evidence.suppressedBecause).toContain('negative bank consented');
});

test('a negative bank suppresses, however many nearer items another one has', async () => {
  const actor = await actorWith('crowded', {
    faces: {},
    logos: {},
    'no-faces': { kind: 'Negative', suppresses: ['faces'] },
    'no-logos': { kind: 'Negative', suppresses: ['logos'] },
  });
  await record.register(actor, items(1, 'logos', { hash: hash(0) }));
  await record.register(actor, items(60, 'no-faces', { hash: hash(1) }));
  await record.register(actor, items(1, 'no-logos', { hash: hash(2) }));
  await replica.look();
  const { matched, suppressed } = await matcher.match(query('crowded'));
  expect({ matched, suppressed: suppressed.map(({ item }) => item) }).toEqual({
    matched: false,
    suppressed: ['logos-0'],
  });
});

test('items that are suppressed hide no match in another bank, however many there are', async () => {
  const actor = await actorWith('hidden', {
    faces: {},
    logos: {},
    'no-faces': { kind: 'Negative', suppresses: ['faces'] },
  });
  await record.register(actor, items(600, 'faces', { hash: hash(0) }));
  await record.register(actor, items(1, 'no-faces', { hash: hash(1) }));
  await record.register(actor, items(1, 'logos', { hash: hash(3) }));
  await replica.look();
  expect(await matcher.match(query('hidden'))).toMatchObject({ matched: true, matches: [{ item: 'logos-0' }] });
});

test('the distance and ratio of a bank hold before the nearest are taken', async () => {
  const actor = await actorWith('ruled', {
    strict: { maxDistance: 2 },
    off: { enabledRatio: 0 },
    wide: { maxDistance: 60 },
  });
  await record.register(actor, items(600, 'strict', { hash: hash(5) }));
  await record.register(actor, items(600, 'off', { hash: hash(1) }));
  await record.register(actor, items(1, 'wide', { hash: hash(55) }));
  await replica.look();
  const { matches } = await matcher.match(query('ruled', { minScore: 0 }));
  expect(matches.map(({ item, distance }) => [item, distance])).toEqual([['wide-0', 55]]);
});

test('a fingerprint is kept by everything that it depends on', () => {
  const of = (more: Partial<MatcherOptions>, level: 'Speed' | 'Balanced' | 'Accuracy' = 'Accuracy') =>
    JSON.stringify(new Matcher(options(more)).fingerprints.keyOf(level));
  const embedder = (version: string) => ({ version, embed: () => Promise.resolve(new Float32Array(2)) });
  const kinds = [
    of({}),
    of({ crops: false }),
    of({ dihedral: false }),
    of({}, 'Speed'),
    of({ limits: { maxBytes: 1, maxPixels: 1, seconds: 1 } }),
    of({ embedder: embedder('a') }),
    of({ embedder: embedder('b') }),
  ];
  expect(new Set(kinds).size).toBe(kinds.length);
  expect(of({ crops: false })).toBe(of({}, 'Balanced'));
});
