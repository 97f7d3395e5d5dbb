// The banks of the spec, made for each tenant when it first comes; what was changed through the API stays.
import type { Recorded } from '../record/record.ts';
import type { Replica } from '../replica/replica.ts';
import type { MatcherConfig } from './config.ts';

export async function createBanks(
  { record, replica }: { record: Recorded; replica: Replica },
  config: MatcherConfig,
  tenant: string,
): Promise<void> {
  const known = new Set((await record.banks()).filter((bank) => bank.tenant === tenant).map(({ name }) => name));
  for (const { name, kind, maxDistance, enabledRatio, suppresses } of config.banks) {
    if (known.has(name)) continue;
    await record.setBank({ tenant, name: 'spec' }, name, {
      kind,
      enabledRatio,
      maxDistance: maxDistance ?? null,
      suppresses: suppresses ?? null,
    });
  }
  await replica.look();
}
