// Work that takes all threads: one after another, those that came first first.
import { throwIfGone } from './fitting.ts';

/** Rejects as soon as `signal` aborts; what had not begun by then is not begun. */
export type InTurn = <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>;

export function oneByOne(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (work, signal) => {
    const next = last.then(() => {
      throwIfGone(signal);
      return work();
    });
    last = next.catch(() => undefined);
    return unlessGone(next, signal);
  };
}

async function unlessGone<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  throwIfGone(signal);
  const { promise, reject } = Promise.withResolvers<never>();
  const gone = () => {
    try {
      throwIfGone(signal);
    } catch (error) {
      reject(error);
    }
  };
  signal.addEventListener('abort', gone, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', gone);
  }
}
