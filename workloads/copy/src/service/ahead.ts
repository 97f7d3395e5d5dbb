// Likely next briefs, written while the model has nothing else to do: learned for each tenant from what it asks for after what, and given up while it is seldom
// right. Whoever really asks comes first: then what is written ahead is broken off.
import { prefetcher, QuintetError, type Registry } from '@quintet/runtime';
import type { CopyRequest, Write } from './writer.ts';

export interface AheadOptions {
  write: Write;
  /** Whether the model has room that nobody needs. */
  idle: () => boolean;
  registry: Registry;
}

export interface Ahead {
  /** As the one given, and learns of each request that it answered. */
  write: Write;
  /** Somebody waits. */
  yield: () => void;
  /** Resolves when nothing is written ahead. */
  settled: () => Promise<void>;
  close: () => Promise<void>;
}

/** Bytes of the briefs remembered. */
const maxSize = 16 * 2 ** 20;

export function writingAhead({ write, idle, registry }: AheadOptions): Ahead {
  let running = new AbortController();
  const next = prefetcher<CopyRequest>({
    name: 'briefs',
    keyOf,
    sizeOf: (request) => keyOf(request).length,
    maxSize,
    concurrency: 1,
    registry,
    fetch: async (tenant, request, signal) => {
      if (!idle()) return;
      await write(
        tenant,
        { ...request, deadlineMs: null, priority: 'Low' },
        AbortSignal.any([signal, running.signal]),
        true,
      );
    },
  });
  return {
    write: async (tenant, request, signal, cached) => {
      const answer = await write(tenant, request, signal, cached);
      if (cached) next.observe(tenant, request);
      return answer;
    },
    yield: () => {
      running.abort(new QuintetError('CANCELLED'));
      running = new AbortController();
    },
    settled: () => next.settled(),
    close: async () => {
      next.close();
      await next.settled();
    },
  };
}

/** The same for requests with the same answer. */
function keyOf(request: CopyRequest): string {
  return JSON.stringify({ ...request, priority: undefined, deadlineMs: undefined });
}
