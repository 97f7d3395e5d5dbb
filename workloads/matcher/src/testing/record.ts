// A record on a PostgreSQL of its own for a file of tests, and a tenant with one bank for each of them.
import './commonjs.ts';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { type Actor, openRecord, type Recorded } from '../record/record.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';

export let postgres: TestPostgres;
export let record: Recorded;
export let actor: Actor;
let tenants = 0;

/** Call it once in each file, before hooks that need the record. */
export function useRecord(): void {
  beforeAll(async () => {
    postgres = await startPostgres();
    record = await openRecord({ url: postgres.url });
  }, 60_000);
  afterAll(async () => {
    await record?.close();
    await postgres?.stop();
  });
}

/** After `useRecord`. */
export function useTenant(bank = 'faces', name = 'tester'): void {
  beforeEach(async () => {
    actor = { tenant: `tenant-${++tenants}`, name };
    await record.setBank(actor, bank, {});
  });
}
