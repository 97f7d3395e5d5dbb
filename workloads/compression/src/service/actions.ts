// What healing and operators may do to a running service, by POST /admin/actions/NAME.
import { readInput, remedies } from '@quintet/runtime';
import { z } from 'zod';
import type { Compressor } from './compressor.ts';
import type { ServiceModels } from './models.ts';

const purge = z.object({ tenant: z.string().min(1).max(253) });

export function actions(compressor: () => Compressor, models: () => ServiceModels): ReturnType<typeof remedies> {
  const usual = remedies({
    caches: () => ({ clear: () => compressor().clearCache(), memory: [compressor().memory] }),
    batches: () => models().limits,
  });
  return {
    ...usual,
    actions: {
      ...usual.actions,
      /** Makes every kept answer of a tenant stale, on all tiers and replicas. */
      purgeTenant: async (input) => {
        await compressor().purge(readInput(purge, input).tenant);
        return null;
      },
    },
  };
}
