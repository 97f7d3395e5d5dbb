// What healing and operators may do to any running service, by POST /admin/actions/NAME or by a command of the controller.
import { z } from 'zod';
import type { MemoryTier } from '../cache/memory.ts';
import { QuintetError } from '../errors.ts';
import { gauge, type Registry } from '../metrics.ts';
import type { EngineDefinition } from './context.ts';

/** What of an engine can be treated; asked at each use, as engines open their parts while they start. */
export interface Treatable {
  caches?: () => {
    /** Gives up what this process holds; a shared tier stays. */
    clear: () => Promise<void>;
    memory: readonly MemoryTier[];
  };
  /** Each takes at most this share, above 0 to 1, of the items at once that the spec allows; none: nothing is batched. */
  batches?: () => readonly ((share: number) => void)[];
}

type Remedies = Required<Pick<EngineDefinition<z.ZodObject>, 'actions' | 'metrics'>>;

const bounds = z.object({
  maxEntries: z.int().min(1).max(100_000_000).optional(),
  maxSize: z.int().min(1).optional(),
});
const newBounds = bounds.refine(
  ({ maxEntries, maxSize }) => maxEntries ?? maxSize,
  'give maxEntries, maxSize in bytes, or both',
);
const newShare = z.object({ share: z.number().gt(0).max(1) });

/** `clearCache` and `resizeCache` of an engine with caches, `resizeBatch` of one with batches, and the share that is told. */
export function remedies({ caches, batches }: Treatable): Remedies {
  let share = 1;
  const resize = ({ maxEntries, maxSize }: z.output<typeof bounds>) => {
    for (const tier of caches?.().memory ?? [])
      tier.resize({
        ...(maxEntries !== undefined && { maxEntries }),
        ...(maxSize !== undefined && { maxBytes: maxSize }),
      });
    return caches?.().memory.map((tier) => tier.usage());
  };
  return {
    actions: {
      ...(caches && {
        /** With bounds the memory is also smaller from then on. */
        clearCache: async (input) => {
          const smaller = readInput(bounds, input ?? {});
          await caches().clear();
          return resize(smaller);
        },
        resizeCache: async (input) => resize(readInput(newBounds, input)),
      }),
      ...(batches && {
        resizeBatch: async (input) => {
          const asked = readInput(newShare, input).share;
          const all = batches();
          if (all.length === 0) throw new QuintetError('NOT_FOUND', { what: 'batch: this service makes none' });
          for (const each of all) each(asked);
          share = asked;
          return { share };
        },
      }),
    },
    metrics: (registry: Registry) => {
      if (!batches) return;
      const help = 'Share of the items at once that the spec allows, as healing set it.';
      gauge(registry, 'quintet_batch_share', help, [], function () {
        // Without a batch there is no share: none is no 0.
        if (batches().length > 0) this.set(share);
        else this.remove();
      });
    },
  };
}

/** Throws `INVALID_REQUEST` with the first thing that is wrong. */
export function readInput<T>(schema: z.ZodType<T>, input: unknown): T {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new QuintetError('INVALID_REQUEST', {
    field: issue?.path.join('.'),
    reason: issue?.message ?? 'not as described',
  });
}
