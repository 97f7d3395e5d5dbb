// Waiting times that grow, with jitter, so that many clients do not come back at the same moment.
import { setTimeout as sleep } from 'node:timers/promises';

export interface BackoffOptions {
  /** Milliseconds before the first retry. */
  baseMs: number;
  /** Upper bound of a wait in milliseconds, jitter included. */
  maxMs: number;
  random?: () => number;
}

/** The wait before retry number `attempt` (0-based): between half and all of `base · 2^attempt`, at most `max`. */
export function backoffMs(attempt: number, { baseMs, maxMs, random = Math.random }: BackoffOptions): number {
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 40));
  return full / 2 + (full / 2) * random();
}

export class Backoff {
  #attempt = 0;
  readonly #options: BackoffOptions;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  next(): number {
    return backoffMs(this.#attempt++, this.#options);
  }

  reset(): void {
    this.#attempt = 0;
  }

  /** Forgets all but `attempts` failures: for a peer that makes progress, yet keeps failing. */
  ease(attempts: number): void {
    this.#attempt = Math.min(this.#attempt, attempts);
  }
}

/** Resolves after `ms`, or at once when the signal aborts. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  try {
    await sleep(ms, undefined, signal ? { signal } : {});
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
}
