// A flood of new items: what a client registers beyond its share of a minute, over all replicas, waits for a person.
import type { Identity } from '@quintet/runtime';
import type { Share } from '../record/record.ts';
import type { MatcherConfig } from './config.ts';

export function shareOf({ quarantine }: MatcherConfig, { client }: Identity): Share | undefined {
  return quarantine && { client, most: quarantine.itemsPerMinute };
}
