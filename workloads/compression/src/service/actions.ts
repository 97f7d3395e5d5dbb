// What healing and operators may do to a running service, by POST /admin/actions/NAME.
import { QuintetError } from '@quintet/runtime';
import { z } from 'zod';
import type { Compressor } from './compressor.ts';

const bounds = z
  .object({ maxEntries: z.int().min(1).max(100_000_000).optional(), maxSize: z.int().min(1).optional() })
  .refine(({ maxEntries, maxSize }) => maxEntries ?? maxSize, 'give maxEntries, maxSize in bytes, or both');
const purge = z.object({ tenant: z.string().min(1).max(253) });

export function actions(compressor: () => Compressor): Record<string, (input: unknown) => Promise<unknown>> {
  return {
    /** Gives up what this process holds; Redis stays. */
    clearCache: async () => {
      await compressor().clearCache();
      return compressor().memory.usage();
    },
    resizeCache: async (input) => {
      const { maxEntries, maxSize } = parsed(bounds, input);
      compressor().memory.resize({
        ...(maxEntries !== undefined && { maxEntries }),
        ...(maxSize !== undefined && { maxBytes: maxSize }),
      });
      return compressor().memory.usage();
    },
    /** Makes every kept answer of a tenant stale, on all tiers and replicas. */
    purgeTenant: async (input) => {
      await compressor().purge(parsed(purge, input).tenant);
      return null;
    },
  };
}

function parsed<T>(schema: z.ZodType<T>, input: unknown): T {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new QuintetError('INVALID_REQUEST', {
    field: issue?.path.join('.'),
    reason: issue?.message ?? 'not as described',
  });
}
