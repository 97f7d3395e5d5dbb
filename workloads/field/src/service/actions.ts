// What healing and operators may do to a running service, by POST /admin/actions/NAME.
import { QuintetError } from '@quintet/runtime';
import { z } from 'zod';
import type { Queries } from './queries.ts';

const bounds = z
  .object({ maxEntries: z.int().min(1).max(100_000_000).optional(), maxSize: z.int().min(1).optional() })
  .refine(({ maxEntries, maxSize }) => maxEntries ?? maxSize, 'give maxEntries, maxSize in bytes, or both');

export function actions(queries: () => Queries): Record<string, (input: unknown) => Promise<unknown>> {
  const usage = () => queries().memory.map((tier) => tier.usage());
  return {
    /** Gives up what this process holds; Redis stays. */
    clearCache: async () => {
      await queries().clear();
      return usage();
    },
    resizeCache: async (input) => {
      const parsed = bounds.safeParse(input);
      if (!parsed.success) {
        const [issue] = parsed.error.issues;
        throw new QuintetError('INVALID_REQUEST', { field: issue?.path.join('.'), reason: issue?.message ?? '' });
      }
      const { maxEntries, maxSize } = parsed.data;
      for (const tier of queries().memory)
        tier.resize({
          ...(maxEntries !== undefined && { maxEntries }),
          ...(maxSize !== undefined && { maxBytes: maxSize }),
        });
      return usage();
    },
  };
}
