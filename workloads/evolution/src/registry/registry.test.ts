import { expect, it } from 'vitest';
import { Registry } from './registry.ts';

it.each(['not a url', 'http://db.lab:5432/x', 'postgres://user:pass#word@'])(
  'refuses the address “%s” by its field, and does not repeat it',
  async (url) => {
    const refused = await Registry.open(url).catch((error: unknown) => error);
    expect(refused).toMatchObject({ reason: 'RegistryUnavailable', where: { field: 'spec.registry.postgres' } });
    expect((refused as Error).message).toMatch(/^PostgreSQL: the url is none; write postgres:/);
  },
);
