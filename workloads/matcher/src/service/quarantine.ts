// A flood of new items: what a client registers beyond its share of a minute, over all replicas, waits for a person.
import type { Identity } from '@quintet/runtime';
import { arrive } from '../record/arrivals.ts';
import type { NewItem } from '../record/record.ts';
import type { Service } from './routes.ts';

/** Marks those that are to wait. */
export function quarantine({ context, started }: Pick<Service, 'context' | 'started'>) {
  const { quarantine: limit } = context.config;
  return async ({ tenant, client }: Identity, items: NewItem[]): Promise<NewItem[]> => {
    if (!limit || items.length === 0) return items;
    const { record } = await started;
    const arrival = { tenant, client, items: items.length, most: limit.itemsPerMinute };
    const within = await record.transaction(async (connection) => await arrive(connection, arrival));
    return items.map((item, i) => ({ ...item, quarantined: i >= within }));
  };
}
