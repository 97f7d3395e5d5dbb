// Who may use the model next: as many at a time as it takes in one batch, by priority, and fair between tenants by the tokens they ask for.
import { type BoundedQueue, boundedQueue, type Priority, QuintetError } from '@quintet/runtime';

export interface Turn {
  tenant: string;
  priority: Priority;
  /** Milliseconds since the epoch. */
  deadline?: number | undefined;
  /** Tokens of prompt and answer. */
  cost: number;
}

export interface Turns {
  /** Throws what `take` would throw now, before anything else was done for a request that is turned away. */
  check: (turn: Pick<Turn, 'tenant' | 'priority'>) => void;
  /**
   * Resolves when it is the caller's turn, with what ends it. Rejects with `OVERLOADED` or `TENANT_QUEUE_FULL` at once, `DEADLINE_EXCEEDED` when the
   * deadline passes while waiting, `CANCELLED` when `signal` aborts.
   */
  take: (turn: Turn, signal: AbortSignal) => Promise<() => void>;
  readonly waiting: number;
  readonly running: number;
}

export interface TurnsOptions {
  /** Turns at a time. */
  parallel: () => number;
  /** Requests that may wait. */
  maxQueue: number;
  weightOf: (tenant: string) => number;
  /** Told when a request must wait that is not of low priority. */
  onWait?: (() => void) | undefined;
}

export function turns({ parallel, maxQueue, weightOf, onWait }: TurnsOptions): Turns {
  let running = 0;
  /** Seconds that a turn took, averaged over the latest. */
  let took = 1;
  const retryAfter = (): number => Math.max(1, Math.ceil(((queue.size + 1) / parallel()) * took));
  const maxPerTenant = maxQueue / 2;
  const queue: BoundedQueue<() => void> = boundedQueue(
    { name: 'copy', maxSize: maxQueue, maxPerTenant, weightOf },
    retryAfter,
  );
  const waitingOf = new Map<string, number>();
  const count = (tenant: string, by: 1 | -1) => {
    const waiting = (waitingOf.get(tenant) ?? 0) + by;
    if (waiting > 0) waitingOf.set(tenant, waiting);
    else waitingOf.delete(tenant);
  };
  const next = () => {
    while (running < parallel()) {
      const item = queue.pop();
      if (!item) return;
      item.value();
    }
  };
  return {
    get waiting() {
      return queue.size;
    },
    get running() {
      return running;
    },
    check: ({ tenant, priority }) => {
      const waiting = waitingOf.get(tenant) ?? 0;
      if (waiting >= maxPerTenant)
        throw new QuintetError('TENANT_QUEUE_FULL', { tenant, waiting, retryAfter: retryAfter() });
      if (queue.size < maxQueue) return;
      // A more urgent one takes the place of one that is less so.
      const { High, Normal } = queue.countByPriority();
      const asUrgent = High + (priority === 'High' ? 0 : Normal);
      if (priority === 'Low' || asUrgent >= queue.size)
        throw new QuintetError('OVERLOADED', { queue: 'copy', waiting: queue.size, retryAfter: retryAfter() });
    },
    take: ({ tenant, priority, deadline, cost }, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) throw reasonOf(signal);
        let waits = true;
        const start = () => {
          waits = false;
          clearTimeout(late);
          signal.removeEventListener('abort', gone);
          count(tenant, -1);
          running++;
          const began = performance.now();
          let open = true;
          resolve(() => {
            if (!open) return;
            open = false;
            running--;
            took += ((performance.now() - began) / 1000 - took) / 16;
            next();
          });
        };
        const drop = (reason: QuintetError) => {
          clearTimeout(late);
          signal.removeEventListener('abort', gone);
          count(tenant, -1);
          reject(reason);
        };
        const item = queue.push({
          value: start,
          drop,
          tenant,
          priority,
          cost,
          ...(deadline !== undefined && { deadline }),
        });
        count(tenant, 1);
        const gone = () => queue.remove(item) && drop(reasonOf(signal));
        const expire = () => queue.remove(item) && drop(new QuintetError('DEADLINE_EXCEEDED', { queue: 'copy' }));
        const late =
          deadline === undefined ? undefined : setTimeout(expire, Math.min(deadline - Date.now(), 2 ** 31 - 1));
        signal.addEventListener('abort', gone, { once: true });
        next();
        if (waits && priority !== 'Low') onWait?.();
      }),
  };
}

function reasonOf(signal: AbortSignal): QuintetError {
  return signal.reason instanceof QuintetError ? signal.reason : new QuintetError('CANCELLED');
}
