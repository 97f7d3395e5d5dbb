// What a pod of a MatcherPool says of its index on its metrics page.

/** Of one pod at one moment. */
export interface PodIndex {
  /** That it holds; 0 where items are not spread. */
  shard: number;
  items: number;
  disabled: number;
  quarantined: number;
  ageSeconds: number;
  /** Last change of the record that it has read. */
  position: number;
  /** Undefined: it has written no snapshot yet. */
  snapshotAt: Date | undefined;
}

const line =
  /^quintet_matcher_(items|shard|index_age_seconds|index_position|snapshot_timestamp_seconds)(?:\{([^}]*)\})? ([-+.0-9eE]+)$/gm;

/** Undefined while it holds none, and for a page that does not tell or tells nonsense. */
export function readIndexPage(text: string): PodIndex | undefined {
  // Pages of other engines are many and long.
  if (!text.includes('\nquintet_matcher_shard ')) return undefined;
  const values = new Map<string, number>();
  for (const [, name = '', labels = '', value] of text.matchAll(line)) {
    const state = /(?:^|,)state="(\w+)"/.exec(labels)?.[1];
    values.set(state === undefined ? name : `${name} ${state}`, Number(value));
  }
  const [shard, items, disabled, quarantined, ageSeconds, position] = [
    'shard',
    'items items',
    'items disabled',
    'items quarantined',
    'index_age_seconds',
    'index_position',
  ].map((name) => values.get(name)) as number[];
  if (shard === undefined || items === undefined || ageSeconds === undefined || position === undefined)
    return undefined;
  const index = { shard, items, disabled: disabled ?? 0, quarantined: quarantined ?? 0, ageSeconds, position };
  if (!Object.values(index).every((value) => Number.isFinite(value) && value >= 0)) return undefined;
  // As the status has them: one that is not whole would have all of it refused.
  const { ageSeconds: _, ...counts } = index;
  if (!Object.values(counts).every(Number.isSafeInteger)) return undefined;
  const written = values.get('snapshot_timestamp_seconds') ?? 0;
  return { ...index, snapshotAt: written > 0 && written < 1e11 ? new Date(written * 1000) : undefined };
}
