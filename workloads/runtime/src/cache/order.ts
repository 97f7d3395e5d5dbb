// Which entry to give up first: least frequently used, weighted by what making it again costs and how much room it takes.
// Greedy-Dual-Size-Frequency: L. Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy", HPL-98-69.

interface Item<K> {
  name: K;
  size: number;
  cost: number;
  frequency: number;
  priority: number;
  /** Place in the heap. */
  at: number;
}

export interface CostAwareOrder<K> {
  readonly size: number;
  readonly bytes: number;
  has: (name: K) => boolean;
  /** Adds an entry, or replaces its size and cost and counts one use. `size` in bytes, `cost` in any unit above 0. */
  set: (name: K, size: number, cost: number) => void;
  /** Counts one use, with the cost if it was not known before. */
  touch: (name: K, cost?: number) => void;
  delete: (name: K) => void;
  /** The entry to give up; the age rises to its priority, so that entries once popular do not stay for ever. */
  least: () => K | undefined;
  names: () => K[];
}

/** All steps take O(log n). */
export function costAwareOrder<K>(): CostAwareOrder<K> {
  const items = new Map<K, Item<K>>();
  const heap: Item<K>[] = [];
  let age = 0;
  let bytes = 0;

  const place = (item: Item<K>, at: number) => {
    heap[at] = item;
    item.at = at;
  };
  const up = (item: Item<K>) => {
    for (let at = item.at; at > 0; ) {
      const parent = heap[(at - 1) >> 1];
      if (!parent || parent.priority <= item.priority) return;
      place(parent, at);
      at = (at - 1) >> 1;
      place(item, at);
    }
  };
  const down = (item: Item<K>) => {
    for (;;) {
      const left = heap[2 * item.at + 1];
      const right = heap[2 * item.at + 2];
      const child = left && right && right.priority < left.priority ? right : left;
      if (!child || child.priority >= item.priority) return;
      const { at } = child;
      place(child, item.at);
      place(item, at);
    }
  };
  const rank = (item: Item<K>) => {
    item.priority = age + (item.frequency * Math.max(item.cost, 1e-3)) / Math.max(item.size, 1);
    up(item);
    down(item);
  };
  const remove = (name: K) => {
    const item = items.get(name);
    if (!item) return;
    items.delete(name);
    bytes -= item.size;
    const last = heap.pop();
    if (last && last !== item) {
      place(last, item.at);
      up(last);
      down(last);
    }
  };

  return {
    get size() {
      return items.size;
    },
    get bytes() {
      return bytes;
    },
    has: (name) => items.has(name),
    set: (name, size, cost) => {
      const known = items.get(name);
      if (known) {
        bytes += size - known.size;
        Object.assign(known, { size, cost, frequency: known.frequency + 1 });
        rank(known);
        return;
      }
      const item = { name, size, cost, frequency: 1, priority: 0, at: heap.length };
      items.set(name, item);
      heap.push(item);
      bytes += size;
      rank(item);
    },
    touch: (name, cost) => {
      const item = items.get(name);
      if (!item) return;
      item.frequency += 1;
      item.cost = cost ?? item.cost;
      rank(item);
    },
    delete: remove,
    least: () => {
      const first = heap[0];
      if (first) age = Math.max(age, first.priority);
      return first?.name;
    },
    names: () => [...items.keys()],
  };
}
