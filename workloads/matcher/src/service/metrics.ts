// What a pod's metrics page says of its index; the controller tells it in the status of the pool.
import { statSync } from 'node:fs';
import { gaugeOf, type Registry } from '@quintet/runtime';
import type { Replica } from '../replica/replica.ts';
import type { Shards } from '../shards/shards.ts';

interface Index {
  readonly replica: Pick<Replica, 'counts' | 'age' | 'bytes' | 'position'>;
  readonly shards: Pick<Shards, 'own'> | undefined;
  /** File of the snapshot. */
  readonly snapshot: string | undefined;
}

export function indexMetrics(registry: Registry, { replica, shards, snapshot }: Index): void {
  gaugeOf(registry, 'quintet_matcher_items', 'Items of the index by state.', ['state'], () =>
    Object.entries(replica.counts).map(([state, count]) => [{ state }, count] as [{ state: string }, number]),
  );
  const one = (name: string, help: string, read: () => number | undefined) =>
    gaugeOf(registry, name, help, [], () => {
      const value = read();
      return value === undefined ? [] : [[{}, value]];
    });
  one(
    'quintet_matcher_index_age_seconds',
    'Time since the index was known to be up to date.',
    () => replica.age / 1000,
  );
  one('quintet_matcher_index_bytes', 'Memory of the index.', () => replica.bytes);
  one('quintet_matcher_index_position', 'Last change of the record that is in the index.', () => replica.position);
  // A pod that reads another shard counts for none meanwhile.
  one('quintet_matcher_shard', 'Shard that this pod holds; -1 while it reads one.', () =>
    shards ? (shards.own ?? -1) : 0,
  );
  one('quintet_matcher_snapshot_timestamp_seconds', 'When the snapshot was written.', () => writtenAt(snapshot));
}

/** Undefined as long as there is none. */
function writtenAt(file: string | undefined): number | undefined {
  const written = file === undefined ? undefined : statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  return written === undefined ? undefined : Math.floor(written / 1000);
}
