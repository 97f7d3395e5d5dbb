// The banks of the spec, for each tenant when it first comes: made where they are missing, and changed where the spec has
// changed since it was last applied. What was changed through the API stays as long as the spec says nothing new of it.
import type { BankRules, Recorded } from '../record/record.ts';
import type { Replica } from '../replica/replica.ts';
import type { MatcherConfig } from './config.ts';

const plain: BankRules = { kind: 'Positive', maxDistance: null, enabledRatio: 1, suppresses: null };

export async function createBanks(
  { record, replica }: { record: Recorded; replica: Replica },
  config: MatcherConfig,
  tenant: string,
): Promise<void> {
  const known = new Map(
    (await record.banks()).filter((bank) => bank.tenant === tenant).map((bank) => [bank.name, bank]),
  );
  for (const { name, kind, maxDistance, enabledRatio, suppresses } of config.banks) {
    const spec: BankRules = { kind, enabledRatio, maxDistance: maxDistance ?? null, suppresses: suppresses ?? null };
    const bank = known.get(name);
    const change = bank ? changed(bank.spec ?? plain, spec) : spec;
    if (bank?.spec && Object.keys(change).length === 0) continue;
    await record.setBank({ tenant, name: 'spec' }, name, { ...change, spec });
  }
  await replica.look();
}

function changed(before: BankRules, after: BankRules): Partial<BankRules> {
  const keys = Object.keys(plain) as (keyof BankRules)[];
  const differing = keys.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]));
  return Object.fromEntries(differing.map((key) => [key, after[key]]));
}
