import { describe, expect, it } from 'vitest';
import { memoryTier } from '../cache/memory.ts';
import { Registry } from '../metrics.ts';
import { remedies } from './remedies.ts';

const registry = new Registry();
const context = {} as never;

describe('what healing may do to an engine', () => {
  it('is what the engine has parts for', () => {
    expect(Object.keys(remedies({ caches: () => ({ clear: async () => undefined, memory: [] }) }).actions)).toEqual([
      'clearCache',
      'resizeCache',
    ]);
    expect(Object.keys(remedies({ batches: () => [] }).actions)).toEqual(['resizeBatch']);
  });

  it('clears caches, and makes them smaller with bounds', async () => {
    const tier = memoryTier({ maxEntries: 100 });
    const { actions } = remedies({ caches: () => ({ clear: async () => void tier.clear(), memory: [tier] }) });
    const fill = () => {
      for (let i = 0; i < 50; i++) tier.set(`k${i}` as never, { value: Buffer.from('v') } as never);
    };
    fill();
    expect(await actions['clearCache']?.(undefined, context)).toMatchObject([{ entries: 0 }]);
    await actions['clearCache']?.({ maxEntries: 10 }, context);
    fill();
    expect(tier.usage()?.entries).toBe(10);
    await expect(actions['resizeCache']?.({}, context)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });

  it('sets the share of every batch, and tells it while there are batches', async () => {
    const seen: number[] = [];
    let open = false;
    const { actions, metrics } = remedies({ batches: () => (open ? [(share) => void seen.push(share)] : []) });
    metrics(registry);
    expect(await registry.metrics()).not.toMatch(/^quintet_batch_share/m);
    await expect(actions['resizeBatch']?.({ share: 0.5 }, context)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    open = true;
    await actions['resizeBatch']?.({ share: 0.5 }, context);
    expect(seen).toEqual([0.5]);
    expect(await registry.metrics()).toMatch(/^quintet_batch_share 0.5$/m);
    for (const share of [0, -1, 2, Number.NaN, '1'])
      await expect(actions['resizeBatch']?.({ share }, context)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });
});
