import { describe, expect, it } from 'vitest';
import { type PodIndex, readIndexPage } from './page.ts';
import { indexOf } from './status.ts';

const pod = (more: Partial<PodIndex> = {}): PodIndex => ({
  shard: 0,
  items: 100,
  disabled: 2,
  quarantined: 1,
  ageSeconds: 0.4,
  position: 50,
  snapshotAt: undefined,
  ...more,
});

describe('the page of a pod', () => {
  const page = `# TYPE quintet_matcher_items gauge
quintet_matcher_items{state="items"} 7
quintet_matcher_items{state="disabled"} 2
quintet_matcher_items{state="quarantined"} 0
quintet_matcher_index_age_seconds 0.25
quintet_matcher_index_position 31
quintet_matcher_shard 1
quintet_matcher_snapshot_timestamp_seconds 1767268800
`;

  it('tells what it holds, how old that is and when it was kept', () => {
    expect(readIndexPage(page)).toEqual({
      shard: 1,
      items: 7,
      disabled: 2,
      quarantined: 0,
      ageSeconds: 0.25,
      position: 31,
      snapshotAt: new Date('2026-01-01T12:00:00Z'),
    });
    expect(readIndexPage(page.replace('seconds 1767268800', 'seconds 0'))?.snapshotAt).toBeUndefined();
  });

  it.each([
    ['of a pod that reads another shard', page.replace('shard 1', 'shard -1')],
    ['with a number that is none', page.replace('position 31', 'position NaN')],
    ['of another engine', 'quintet_requests_in_flight 0\n'],
    ['of counts below zero', page.replace('} 7', '} -7')],
    ['of parts of items', page.replace('} 7', '} 1.5')],
    ['of more changes than can be counted', page.replace('position 31', 'position 1e300')],
  ])('%s tells nothing', (_, text) => {
    expect(readIndexPage(text)).toBeUndefined();
  });
});

describe('status.index', () => {
  it('counts an item once, however many pods hold it, and adds the shards up', () => {
    const pods = [pod(), pod({ position: 48, items: 99 }), pod({ shard: 1, items: 90, disabled: 0 })];
    expect(indexOf(pods, 2)).toEqual({ items: 190, disabled: 2, quarantined: 2, age: '2s', position: 48 });
  });

  it('is as old as the slowest pod, in steps, so that it says the same at each look', () => {
    const ageOf = (ageSeconds: number) => indexOf([pod(), pod({ ageSeconds })], 1)?.age;
    expect([0.1, 0.9, 3, 45, 200, 4000, 200_000].map(ageOf)).toEqual(['2s', '2s', '5s', '1m', '5m', '1d', '3d']);
  });

  it('names the last snapshot', () => {
    const at = (time: string) => pod({ snapshotAt: new Date(time) });
    expect(indexOf([at('2026-01-01T12:00:00Z'), at('2026-01-01T12:09:00Z'), pod()], 1)?.snapshotTime).toBe(
      '2026-01-01T12:09:00Z',
    );
  });

  it('says nothing of a part, while a shard is not heard of', () => {
    expect(indexOf([pod()], 2)).toBeUndefined();
    expect(indexOf([], 1)).toBeUndefined();
  });
});
