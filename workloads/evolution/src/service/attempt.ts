// What the registry hears of a coordinator while it is at work, and of how it left: nobody else could tell a run at work from one that is over.
import { EvolutionError, messageOf } from '../errors.ts';
import { within } from '../queue/store.ts';
import type { Registry } from '../registry/registry.ts';
import type { RunAttempt } from '../registry/rows.ts';

export interface AttemptOptions {
  /** Aborts when the coordinator is told to end. */
  readonly signal?: AbortSignal | undefined;
  /** Whether whoever told it said that nobody wants the run any more. */
  readonly isCancelled?: (() => boolean) | undefined;
}

export interface Attempt {
  /** It has thrown this. */
  fail: (error: unknown) => Promise<void>;
  /** It has ended, one way or another. */
  end: () => Promise<void>;
}

/** Milliseconds; far below the time after which a run counts as lost. */
const seenEvery = 15_000;
/** Milliseconds: a pod that is told to end has little time. */
const leaveTime = 8000;

export function beginAttempt(
  registry: Registry,
  run: RunAttempt,
  { signal, isCancelled = () => false }: AttemptOptions,
): Attempt {
  const timer = setInterval(() => void registry.seeRun(run).catch(() => undefined), seenEvery);
  let leaving: Promise<void> | undefined;
  /** At once: what is under way may take longer to end than the pod is given. */
  const leave = (): void => {
    leaving ??= isCancelled()
      ? registry.leaveRun(run, 'Cancelled', 'its resource was deleted')
      : registry.leaveRun(run, 'Interrupted', 'the coordinator was told to end');
    leaving.catch(() => undefined);
  };
  if (signal?.aborted) leave();
  signal?.addEventListener('abort', leave, { once: true });
  return {
    fail: async (error) => {
      if (signal?.aborted) return;
      const passes = error instanceof EvolutionError && error.retryable;
      const told = passes
        ? registry.leaveRun(run, 'Interrupted', messageOf(error))
        : registry.failRun(run, messageOf(error));
      await within(leaveTime, told);
    },
    end: async () => {
      clearInterval(timer);
      signal?.removeEventListener('abort', leave);
      if (leaving) await within(leaveTime, leaving);
    },
  };
}
