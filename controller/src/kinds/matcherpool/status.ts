// From what the pods of a MatcherPool hold to what its status says of the index.
import type { MatcherPoolStatus } from '@quintet/crds';
import { wholeSeconds } from '../verdict.ts';
import type { PodIndex } from './page.ts';

export type IndexStatus = NonNullable<MatcherPoolStatus['index']>;

/** Ages are told as "at most so much": an index that is followed says the same at each look. */
const ages = [2, 5, 10, 30, 60, 300, 900, 3600, 86_400];

/** Undefined while a shard is not heard of: what was told before is nearer to the truth than a part. */
export function indexOf(pods: readonly PodIndex[], shards: number): IndexStatus | undefined {
  const parts = Array.from({ length: shards }, (_, shard) => pods.filter((pod) => pod.shard === shard));
  if (parts.some((holders) => holders.length === 0)) return undefined;
  /** Pods of one shard hold the same items; the one that is ahead knows best. */
  const sum = (name: 'items' | 'disabled' | 'quarantined') =>
    parts.reduce((total, holders) => total + newest(holders)[name], 0);
  const written = pods.flatMap(({ snapshotAt }) => (snapshotAt ? [snapshotAt.getTime()] : []));
  return {
    items: sum('items'),
    disabled: sum('disabled'),
    quarantined: sum('quarantined'),
    age: ageOf(Math.max(...pods.map(({ ageSeconds }) => ageSeconds))),
    position: Math.min(...pods.map(({ position }) => position)),
    ...(written.length > 0 && { snapshotTime: wholeSeconds(new Date(Math.max(...written))) as string }),
  };
}

function newest(holders: readonly PodIndex[]): PodIndex {
  return holders.reduce((best, each) => (each.position > best.position ? each : best));
}

function ageOf(seconds: number): string {
  const most = ages.find((each) => seconds <= each) ?? Math.ceil(seconds / 86_400) * 86_400;
  if (most < 60) return `${most}s`;
  if (most < 3600) return `${most / 60}m`;
  return most < 86_400 ? `${most / 3600}h` : `${most / 86_400}d`;
}
