// Long work of one thread that may be ended in between: a generator that yields wherever others could have their turn.
import { setImmediate } from 'node:timers/promises';

export type Turns<T> = Generator<undefined, T, undefined>;

/** Milliseconds that no timer, signal or message waits longer for than work takes to yield. */
const turn = 20;

/** The work in one go: for threads that have nothing else to do. */
export function atOnce<T>(work: Turns<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** The work, with the event loop's turn every few milliseconds. @throws the reason of the signal, once it is aborted */
export async function byTurns<T>(work: Turns<T>, signal?: AbortSignal): Promise<T> {
  for (let since = performance.now(); ; ) {
    signal?.throwIfAborted();
    const { done, value } = work.next();
    if (done) return value;
    if (performance.now() - since < turn) continue;
    await setImmediate();
    since = performance.now();
  }
}
