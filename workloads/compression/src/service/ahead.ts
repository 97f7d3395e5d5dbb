// What a tenant is likely to ask for next, compressed while no request waits; it stops while its guesses are poor.
import { createHash } from 'node:crypto';
import { type EngineContext, type Pool, prefetcher, type Source } from '@quintet/runtime';
import type { CompressOptions } from '../compress.ts';
import type { ServiceConfig } from './config.ts';
import type { Kept } from './kept.ts';

interface Guess {
  readonly options: CompressOptions;
  /** Whether its original is kept. */
  readonly keep: boolean;
}
export interface Ahead {
  /** Tells of a request that was made; texts too long to be remembered are passed over. */
  observe(tenant: string, request: Guess): void;
  close(): void;
  /** Resolves when the work under way has ended. */
  settled(): Promise<void>;
}

/** Longest text that is worth being made ahead and remembered for it, and bytes of all that are remembered. */
const longest = 32_768;
const mostRemembered = 32 * 1024 * 1024;

/** Nothing where prefetch is not enabled. */
export function aheadOf(
  { settings, quotas, registry }: EngineContext<ServiceConfig>,
  pool: Pool,
  compress: (tenant: string, guess: Guess, signal: AbortSignal) => Promise<{ value: Kept; source: Source }>,
): Ahead | undefined {
  if (settings.cache.prefetch !== 'Enabled') return undefined;
  const guesses = prefetcher<Guess>({
    name: 'compression',
    keyOf: ({ options }) => createHash('sha256').update(JSON.stringify(options)).digest('base64'),
    sizeOf: ({ options }) => 2 * options.text.length + 1024,
    maxSize: mostRemembered,
    maxKeys: 2000,
    registry,
    // Only for who still may: it counts as any other request.
    fetch: async (tenant, guess, signal) => {
      if (pool.waiting > 0) return;
      const reserved = await quotas.reserve(tenant, Math.ceil(guess.options.text.length / 4));
      try {
        const { value, source } = await compress(tenant, guess, signal);
        await reserved.settle(source === 'miss' ? value.result.originalTokens : 0);
      } catch (error) {
        await reserved.settle(0);
        throw error;
      }
    },
  });
  return {
    observe: (tenant, request) => {
      if (request.options.text.length <= longest) guesses.observe(tenant, request);
    },
    close: () => guesses.close(),
    settled: () => guesses.settled(),
  };
}
