// Calling work off: by its caller, or because its time is up.
import { QuintetError } from './errors.ts';

/** Settles as `work` does, or rejects with the signal's reason: work that ignores its signal does not hold its callers. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** Runs `work` for at most so many milliseconds. Rejects with `CANCELLED` when `caller` aborted, with `DEADLINE_EXCEEDED` when the time is up. */
export async function within<T>(
  milliseconds: number,
  work: (signal: AbortSignal) => Promise<T>,
  caller?: AbortSignal,
): Promise<T> {
  const control = new AbortController();
  const leave = () => control.abort(new QuintetError('CANCELLED', {}, { cause: caller?.reason }));
  if (caller?.aborted) leave();
  caller?.addEventListener('abort', leave, { once: true });
  const timer = setTimeout(() => control.abort(new QuintetError('DEADLINE_EXCEEDED')), milliseconds);
  try {
    return await orAborted(work(control.signal), control.signal);
  } catch (error) {
    // What fails because it was called off fails for that reason.
    throw control.signal.aborted ? control.signal.reason : error;
  } finally {
    clearTimeout(timer);
    caller?.removeEventListener('abort', leave);
  }
}
