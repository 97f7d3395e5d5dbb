// Units by priority, for the lazy greedy choice.

/** A binary heap of units, highest priority first; equal priorities come out in text order, so results are the same each time. */
export class PriorityQueue {
  readonly #units: number[] = [];
  readonly #priorities: number[] = [];

  best(): number {
    return this.#priorities[0] ?? Number.NEGATIVE_INFINITY;
  }

  push(unit: number, priority: number): void {
    let at = this.#units.length;
    this.#units.push(unit);
    this.#priorities.push(priority);
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (!this.#above(at, up)) break;
      this.#swap(at, up);
      at = up;
    }
  }

  pop(): { unit: number; priority: number } | undefined {
    const unit = this.#units[0];
    if (unit === undefined) return undefined;
    const priority = this.#priorities[0] as number;
    this.#swap(0, this.#units.length - 1);
    this.#units.pop();
    this.#priorities.pop();
    for (let at = 0; ; ) {
      let child = at * 2 + 1;
      if (child >= this.#units.length) break;
      if (child + 1 < this.#units.length && this.#above(child + 1, child)) child++;
      if (!this.#above(child, at)) break;
      this.#swap(child, at);
      at = child;
    }
    return { unit, priority };
  }

  #above(a: number, b: number): boolean {
    const difference = (this.#priorities[a] as number) - (this.#priorities[b] as number);
    return difference > 0 || (difference === 0 && (this.#units[a] as number) < (this.#units[b] as number));
  }

  #swap(a: number, b: number): void {
    const unit = this.#units[a] as number;
    const priority = this.#priorities[a] as number;
    this.#units[a] = this.#units[b] as number;
    this.#priorities[a] = this.#priorities[b] as number;
    this.#units[b] = unit;
    this.#priorities[b] = priority;
  }
}
