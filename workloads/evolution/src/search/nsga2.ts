// NSGA-II's order (Deb et al. 2002): fronts that nobody dominates, and within a front those with the most room around them.

export interface Objectives {
  /** Greater is better. */
  readonly score: number;
  /** Less is better. */
  readonly cost: number;
}

/** Fronts of indices, the first being the Pareto front. Of equals the earlier goes first. */
export function frontsOf(points: readonly Objectives[]): number[][] {
  const dominators = points.map((point) => points.filter((other) => dominates(other, point)).length);
  const fronts: number[][] = [];
  let rest = points.map((_, i) => i);
  while (rest.length > 0) {
    const front = rest.filter((i) => dominators[i] === 0);
    for (const i of front) for (const j of rest) if (dominates(points[i]!, points[j]!)) dominators[j]!--;
    const taken = new Set(front);
    fronts.push(front);
    rest = rest.filter((i) => !taken.has(i));
  }
  return fronts;
}

/** The first front as people read it: of those with the same score and cost the first alone. */
export function distinctFront<T extends Objectives>(points: readonly T[]): T[] {
  const found = new Map<string, T>();
  for (const i of frontsOf(points)[0] ?? []) {
    const point = points[i]!;
    const key = `${point.score} ${point.cost}`;
    if (!found.has(key)) found.set(key, point);
  }
  return [...found.values()];
}

export function dominates(a: Objectives, b: Objectives): boolean {
  return a.score >= b.score && a.cost <= b.cost && (a.score > b.score || a.cost < b.cost);
}

/** Half the perimeter of the box between a point's neighbours in its front; the ends have infinite room. */
export function crowding(points: readonly Objectives[], front: readonly number[]): Map<number, number> {
  const room = new Map(front.map((i) => [i, 0]));
  for (const objective of ['score', 'cost'] as const) {
    const order = front.toSorted((i, j) => points[i]![objective] - points[j]![objective] || i - j);
    const first = order[0]!;
    const last = order.at(-1)!;
    const range = points[last]![objective] - points[first]![objective] || 1;
    room.set(first, Number.POSITIVE_INFINITY);
    room.set(last, Number.POSITIVE_INFINITY);
    for (let at = 1; at < order.length - 1; at++) {
      const i = order[at]!;
      room.set(i, room.get(i)! + (points[order[at + 1]!]![objective] - points[order[at - 1]!]![objective]) / range);
    }
  }
  return room;
}

/** The `size` points that survive, best first. */
export function survivors(points: readonly Objectives[], size: number): number[] {
  const kept: number[] = [];
  for (const front of frontsOf(points)) {
    if (kept.length >= size) break;
    const room = crowding(points, front);
    kept.push(...front.toSorted((i, j) => room.get(j)! - room.get(i)! || i - j).slice(0, size - kept.length));
  }
  return kept;
}
