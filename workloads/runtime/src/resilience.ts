// Policies around everything that may be away (Redis, Postgres, a model server): time-out, retries with jitter, circuit breaker.
import {
  BrokenCircuitError,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleWhen,
  isBrokenCircuitError,
  isTaskCancelledError,
  retry,
  wrap,
} from 'cockatiel';
import { within } from './abort.ts';
import { isQuintetError, QuintetError } from './errors.ts';
import { counter, gauge, histogram, type Registry } from './metrics.ts';

export interface DependencyOptions {
  /** Milliseconds for one attempt; 2 000 when left out. */
  timeout?: number;
  /** Attempts after the first; 2 when left out. Give 0 for what must not be done twice. */
  retries?: number;
  /** Milliseconds before the first retry, doubled with jitter for each further one; 50 when left out. */
  backoff?: number;
  /** Failures in a row that open the circuit; 5 when left out. */
  failures?: number;
  /** Milliseconds that an open circuit refuses calls before it tries one; 5 000 when left out. */
  openFor?: number;
  /** Which errors speak of the dependency's health; all but `QuintetError`s below status 500 when left out. */
  isFailure?: (error: unknown) => boolean;
  registry?: Registry;
}

export interface Dependency {
  readonly name: string;
  /** False while calls are refused at once, and while one call tries whether it is back: true again when `openFor` has passed since it failed. */
  readonly available: boolean;
  /** True while the circuit is closed. A dependency that is `available` but not this is tried by the next call. */
  readonly healthy: boolean;
  /**
   * Runs `work` under the policies. Throws `DEPENDENCY_UNAVAILABLE` when attempts failed, timed out or were refused,
   * `CANCELLED` when `signal` aborted, and what `work` threw when that says nothing about the dependency.
   */
  call: <T>(work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal) => Promise<T>;
  /** As `call`, but an unavailable dependency yields `otherwise`: slower or poorer, never down. */
  callOr: <T>(work: (signal: AbortSignal) => Promise<T>, otherwise: T, signal?: AbortSignal) => Promise<T>;
}

/** Policies around one dependency, counted in `quintet_dependency_*`. */
export function dependency(name: string, options: DependencyOptions = {}): Dependency {
  const isFailure = options.isFailure ?? ((error: unknown) => !isQuintetError(error) || error.status >= 500);
  const failed = handleWhen((error) => !isOfCaller(error) && isFailure(error));
  const openFor = options.openFor ?? 5000;
  const breaker = circuitBreaker(failed, {
    halfOpenAfter: openFor,
    breaker: new ConsecutiveBreaker(options.failures ?? 5),
  });
  // The breaker leaves its open state only in a call, and who looks at `available` first would never make one.
  let openedAt = 0;
  breaker.onBreak(() => {
    openedAt = Date.now();
  });
  const again = retry(
    handleWhen((error) => !isOfCaller(error) && isFailure(error) && !isBrokenCircuitError(error)),
    {
      maxAttempts: options.retries ?? 2,
      backoff: new ExponentialBackoff({ initialDelay: options.backoff ?? 50, maxDelay: 5000 }),
    },
  );
  const limit = options.timeout ?? 2000;
  const policy = wrap(again, breaker);
  const measure = meter(name, options.registry, () => breaker.state !== CircuitState.Open);

  const call: Dependency['call'] = async (work, signal) => {
    const started = performance.now();
    try {
      signal?.throwIfAborted();
      const result = await policy.execute(() => within(limit, work, signal), signal);
      measure('ok', started);
      return result;
    } catch (error) {
      if (signal?.aborted) {
        measure('cancelled', started);
        throw new QuintetError('CANCELLED', {}, { cause: error });
      }
      if (!isFailure(error)) {
        measure('ok', started);
        throw error;
      }
      measure(isBrokenCircuitError(error) ? 'refused' : 'failed', started);
      const retryAfter = openFor / 1000;
      throw new QuintetError(
        'DEPENDENCY_UNAVAILABLE',
        { dependency: name, reason: reasonOf(error), retryAfter },
        { cause: error },
      );
    }
  };
  return {
    name,
    get available() {
      if (breaker.state === CircuitState.Open) return Date.now() - openedAt >= openFor;
      return breaker.state === CircuitState.Closed;
    },
    get healthy() {
      return breaker.state === CircuitState.Closed;
    },
    call,
    callOr: async (work, otherwise, signal) => {
      try {
        return await call(work, signal);
      } catch (error) {
        if (isQuintetError(error) && error.code === 'DEPENDENCY_UNAVAILABLE') return otherwise;
        throw error;
      }
    },
  };
}

/** The caller went away: that says nothing about the dependency. */
function isOfCaller(error: unknown): boolean {
  return isTaskCancelledError(error) || (isQuintetError(error) && error.code === 'CANCELLED');
}

function reasonOf(error: unknown): string {
  if (error instanceof BrokenCircuitError || isBrokenCircuitError(error))
    return 'it failed repeatedly and is left alone for a moment';
  if (isQuintetError(error) && error.code === 'DEADLINE_EXCEEDED') return 'it took too long';
  return error instanceof Error ? error.message : String(error);
}

function meter(
  name: string,
  registry: Registry | undefined,
  up: () => boolean,
): (result: string, started: number) => void {
  if (!registry) return () => undefined;
  const calls = counter(
    registry,
    'quintet_dependency_calls_total',
    'Calls to dependencies by result (ok, failed, refused, cancelled).',
    ['dependency', 'result'],
  );
  const seconds = histogram(registry, 'quintet_dependency_call_seconds', 'Duration of calls to dependencies.', [
    'dependency',
  ]);
  const states = gauge(registry, 'quintet_dependency_up', '1 while the circuit to a dependency is closed, else 0.', [
    'dependency',
  ]);
  states.set({ dependency: name }, 1);
  return (result, started) => {
    calls.inc({ dependency: name, result });
    seconds.observe({ dependency: name }, (performance.now() - started) / 1000);
    states.set({ dependency: name }, up() ? 1 : 0);
  };
}
