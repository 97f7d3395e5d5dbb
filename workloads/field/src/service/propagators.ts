// What elements give where targets are, kept in memory and on the disk: who moves one of many targets computes that one anew.
import { bytesCodec, type EngineContext, engineCache } from '@quintet/runtime';
import { type Emitters, pointsOfElement } from '../physics/sources.ts';
import { type Propagator, propagatorKey, rowsOf, type Target } from '../solver/targets.ts';
import type { SolveResult } from './work.ts';

/** Waves that are computed in less time than a propagator is found. */
const fewWaves = 5000;
/** Larger ones take longer to be carried about than many take to be computed. */
const mostBytes = 1 << 20;
/** Of the memory that solutions may take. */
const shareOfMemory = 0.25;

/** @param version Of the scene and the code that computes. */
export async function openPropagators(
  { settings, registry }: Pick<EngineContext<object>, 'settings' | 'registry'>,
  version: string,
  emitters: Emitters,
) {
  const { memcached: _elsewhere, memory, ...cache } = settings.cache;
  const bounds = { ...memory, maxSize: Math.floor(shareOfMemory * memory.maxSize) };
  const kept = await engineCache<Buffer>({
    name: 'propagators',
    kind: 'propagator',
    version,
    codec: bytesCodec,
    settings: { ...settings, cache: { ...cache, memory: bounds } },
    registry,
  });
  const points = emitters.elements.count * pointsOfElement(emitters);
  const bytesOf = (target: Target): number => 16 * rowsOf(target) * emitters.elements.count;
  const isWorth = (target: Target): boolean => rowsOf(target) * points >= fewWaves && bytesOf(target) <= mostBytes;

  const propagatorOf = async (tenant: string, target: Target): Promise<Propagator | undefined> => {
    if (!isWorth(target)) return undefined;
    const found = await kept.get({ tenant, input: propagatorKey(target) });
    // What lies on the disk may be of another length: as good as none.
    if (found?.value.byteLength !== bytesOf(target)) return undefined;
    // Its bytes may begin anywhere in a larger buffer.
    return new Float64Array(Uint8Array.from(found.value).buffer);
  };

  return {
    memory: kept.memory,

    /** Those that are kept. */
    of: (tenant: string, targets: readonly Target[]): Promise<(Propagator | undefined)[]> =>
      Promise.all(targets.map((target) => propagatorOf(tenant, target))),

    /** No answer waits for it. */
    async keep(tenant: string, targets: readonly Target[], made: SolveResult['made']): Promise<void> {
      const worth = made.filter(({ target }) => isWorth(targets[target]!));
      await Promise.allSettled(
        worth.map(({ target, propagator: { buffer, byteOffset, byteLength }, milliseconds }) =>
          kept.set({ tenant, input: propagatorKey(targets[target]!) }, Buffer.from(buffer, byteOffset, byteLength), {
            cost: milliseconds,
          }),
        ),
      );
    },

    clear: () => kept.clear(),
    close: () => kept.close(),
  };
}
