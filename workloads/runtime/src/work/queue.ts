// A bounded queue by priority and deadline: the urgent first, the late not at all, nobody forgotten.
import { QuintetError } from '../errors.ts';

export const priorities = ['High', 'Normal', 'Low'] as const;
export type Priority = (typeof priorities)[number];

export interface QueueOptions {
  name: string;
  /** Items that may wait; 1 000 when left out. */
  maxSize?: number;
  /** Items of one tenant that may wait; no limit of its own when left out. */
  maxPerTenant?: number;
  /**
   * Share of a tenant when tenants compete, such as `tenants[].weight`. With it, items of the same priority go in the order of start-time fair
   * queueing (P. Goyal, H. Vin, H. Cheng, SIGCOMM 1996) by their cost: a tenant with many or dear items does not delay one with few.
   * Without it they go by deadline, then arrival.
   */
  weightOf?: (tenant: string) => number;
  now?: () => number;
}

export interface QueueItem<T> {
  value: T;
  priority: Priority;
  tenant: string;
  /** Milliseconds since the epoch; infinite when there is none. */
  deadline: number;
  enqueuedAt: number;
  /** What serving it takes, such as tokens, in any unit that all items share; 1 when left out. */
  cost: number;
  /** Told when the item leaves without being taken: its deadline passed, or a more urgent one needed the place. */
  drop: (reason: QuintetError) => void;
}

export interface BoundedQueue<T> {
  readonly size: number;
  /** Throws `OVERLOADED` when full of items as urgent as this one, `TENANT_QUEUE_FULL`, or `DEADLINE_EXCEEDED`. Returns the item, for `remove`. */
  push: (item: Pick<QueueItem<T>, 'value' | 'drop'> & Partial<QueueItem<T>>) => QueueItem<T>;
  /** The next item whose deadline has not passed; those whose has are dropped. Every eighth is the one that waited longest. */
  pop: () => QueueItem<T> | undefined;
  /** Takes out an item whose caller went away; false when it was not waiting any more. */
  remove: (item: QueueItem<T>) => boolean;
  /** When the longest waiting item came, or undefined. */
  oldest: () => number | undefined;
  countByPriority: () => Record<Priority, number>;
}

/** How often the one that waited longest is taken instead of the most urgent, so that low priority is slow but not starved. */
const fairness = 8;

interface Ranked<T> extends QueueItem<T> {
  rank: number;
  /** Start in virtual time; 0 without weights. */
  start: number;
  order: number;
}

/** `retryAfter` estimates seconds until there is room; used for the errors of `push`. */
export function boundedQueue<T>(options: QueueOptions, retryAfter: () => number = () => 1): BoundedQueue<T> {
  const { name, maxSize = 1000, maxPerTenant = Number.POSITIVE_INFINITY } = options;
  const now = options.now ?? Date.now;
  /** Most urgent last, where taking it costs nothing. */
  const sorted: Ranked<T>[] = [];
  /** In order of arrival. */
  const waiting = new Set<Ranked<T>>();
  const perTenant = new Map<string, number>();
  /** Virtual time, and when each tenant's items so far will have had their share of it. */
  const finishes = new Map<string, number>();
  let virtual = 0;
  let order = 0;
  let pops = 0;

  /** Index of an item, or where it belongs. */
  const indexOf = (item: Ranked<T>) => {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = sorted[middle];
      if (other && before(item, other)) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const take = (item: Ranked<T>): boolean => {
    if (!waiting.delete(item)) return false;
    sorted.splice(indexOf(item), 1);
    const left = (perTenant.get(item.tenant) ?? 1) - 1;
    if (left === 0) perTenant.delete(item.tenant);
    else perTenant.set(item.tenant, left);
    return true;
  };
  const startOf = (tenant: string, cost: number): number => {
    if (!options.weightOf) return 0;
    const start = Math.max(virtual, finishes.get(tenant) ?? 0);
    if (finishes.size > 10_000) for (const [idle, finish] of finishes) if (finish <= virtual) finishes.delete(idle);
    finishes.set(tenant, start + cost / Math.max(options.weightOf(tenant), 1e-6));
    return start;
  };
  const full = () => new QuintetError('OVERLOADED', { queue: name, waiting: waiting.size, retryAfter: retryAfter() });
  const expired = () => new QuintetError('DEADLINE_EXCEEDED', { queue: name });

  return {
    get size() {
      return waiting.size;
    },
    push: (given) => {
      const item: Ranked<T> = {
        priority: 'Normal',
        tenant: '',
        deadline: Number.POSITIVE_INFINITY,
        enqueuedAt: now(),
        cost: 1,
        ...given,
        rank: priorities.indexOf(given.priority ?? 'Normal'),
        start: 0,
        order: order++,
      };
      if (item.deadline <= now()) throw expired();
      const ofTenant = perTenant.get(item.tenant) ?? 0;
      if (ofTenant >= maxPerTenant) {
        throw new QuintetError('TENANT_QUEUE_FULL', {
          tenant: item.tenant,
          waiting: ofTenant,
          retryAfter: retryAfter(),
        });
      }
      if (waiting.size >= maxSize) {
        const [last] = sorted;
        if (!last || last.rank <= item.rank) throw full();
        take(last);
        last.drop(full());
      }
      item.start = startOf(item.tenant, item.cost);
      sorted.splice(indexOf(item), 0, item);
      waiting.add(item);
      perTenant.set(item.tenant, (perTenant.get(item.tenant) ?? 0) + 1);
      return item;
    },
    pop: () => {
      for (;;) {
        const [longest] = waiting;
        const item = (pops + 1) % fairness === 0 ? longest : sorted.at(-1);
        if (!item) return undefined;
        take(item);
        if (item.deadline > now()) {
          pops += 1;
          virtual = Math.max(virtual, item.start);
          return item;
        }
        item.drop(expired());
      }
    },
    remove: (item) => take(item as Ranked<T>),
    oldest: () => {
      const [longest] = waiting;
      return longest?.enqueuedAt;
    },
    countByPriority: () => {
      const counts: Record<Priority, number> = { High: 0, Normal: 0, Low: 0 };
      for (const { priority } of waiting) counts[priority] += 1;
      return counts;
    },
  };
}

/** Priority, then the fair share, then the earlier deadline, then arrival. */
function before(a: Ranked<unknown>, b: Ranked<unknown>): boolean {
  if (a.rank !== b.rank) return a.rank < b.rank;
  if (a.start !== b.start) return a.start < b.start;
  if (a.deadline !== b.deadline) return a.deadline < b.deadline;
  return a.order < b.order;
}
