import '../testing/commonjs.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Replica } from '../replica/replica.ts';
import { record, useRecord } from '../testing/record.ts';
import { createBanks } from './banks.ts';
import { matcherConfig } from './config.ts';

useRecord();

let replica: Replica;

beforeAll(async () => {
  replica = await Replica.open({ record });
});

afterAll(async () => {
  await replica?.close();
});

test('what the spec says anew of a bank is applied, what the API changed stays where it says nothing new', async () => {
  const actor = { tenant: 'team', name: 'tester' };
  const apply = async (bank: object) => {
    await createBanks({ record, replica }, matcherConfig.parse({ banks: [{ name: 'faces', ...bank }] }), 'team');
    return replica.banksOf('team')[0];
  };
  expect(await apply({})).toMatchObject({ name: 'faces', kind: 'Positive', enabledRatio: 1, maxDistance: null });
  await record.setBank(actor, 'faces', { maxDistance: 20 });
  expect(await apply({})).toMatchObject({ maxDistance: 20, enabledRatio: 1 });
  expect(await apply({ enabledRatio: '0%' })).toMatchObject({ maxDistance: 20, enabledRatio: 0 });
  await record.setBank(actor, 'faces', { enabledRatio: 0.5 });
  expect(await apply({ enabledRatio: '0%' })).toMatchObject({ enabledRatio: 0.5 });
  expect(await apply({ enabledRatio: '100%', kind: 'Negative' })).toMatchObject({ enabledRatio: 1, kind: 'Negative' });
});
