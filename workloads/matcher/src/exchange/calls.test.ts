import { beforeEach, expect, test } from 'vitest';
import type { MatchEntry } from '../match/entry.ts';
import type { Recorded } from '../record/record.ts';
import { Calls } from './calls.ts';

let away: boolean;
/** Bodies of each insert. */
let written: string[][];
let warned: object[];

beforeEach(() => {
  away = false;
  written = [];
  warned = [];
});

const transaction: Recorded['transaction'] = async (work) => {
  if (away) throw new Error('PostgreSQL is away');
  const query = (_: string, [, bodies]: string[][]) => {
    written.push(bodies ?? []);
    return Promise.resolve({});
  };
  return await work({ query } as never);
};
const asked = { tenant: 'default', sha256: 'ab' };
const matches = [{ item: 'a', bank: 'shared', score: 1 } as unknown as MatchEntry];
const callsOf = (most?: number) =>
  new Calls({
    record: { transaction },
    webhooks: [{ name: 'hook', url: '', key: '', retries: 0 }],
    log: { warn: (said: object) => void warned.push(said) },
    ...(most !== undefined && { most }),
  });
const turn = async () => await new Promise((resolve) => setImmediate(resolve));

test('a call says which shards are not in the verdict', async () => {
  const calls = callsOf();
  calls.add(asked, { matches, shards: { of: 2, missing: [1] } });
  await calls.close();
  expect(JSON.parse(written[0]?.[0] ?? '')).toMatchObject({ ...asked, matches, shards: { of: 2, missing: [1] } });
});

test('calls wait for a record that is away, bounded, and are written together at the end', async () => {
  const one = JSON.stringify({ type: 'match', id: '0'.repeat(36), ...asked, matches }).length;
  const calls = callsOf(3 * one);
  away = true;
  for (let i = 0; i < 5; i++) calls.add(asked, { matches });
  await turn();
  expect(warned).toMatchObject([{ waiting: 3 }, { lost: 2 }]);
  away = false;
  await calls.close();
  expect(written.map(({ length }) => length)).toEqual([3]);
});

test('calls that come while others are written go together', async () => {
  const calls = callsOf();
  for (let i = 0; i < 4; i++) calls.add(asked, { matches });
  await turn();
  expect(written.flat()).toHaveLength(4);
  expect(written.length).toBeLessThan(4);
});

test('calls that cannot be written at the end are told as lost', async () => {
  const calls = callsOf();
  away = true;
  calls.add(asked, { matches });
  await calls.close();
  expect(warned.at(-1)).toEqual({ lost: 1 });
});
