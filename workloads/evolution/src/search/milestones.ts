// What is known once so many pipelines have taken their place: the same for all who are judged by it, whenever they ask.
export class Milestones<T> {
  readonly #later = new Map<number, PromiseWithResolvers<T | undefined>>();
  #reached = 0;
  #latest: T;

  constructor(nothing: T) {
    this.#latest = nothing;
  }

  /** What is known after `count`, or now where that has passed; undefined when the search ends before. */
  when(count: number): Promise<T | undefined> {
    if (count <= this.#reached) return Promise.resolve(this.#latest);
    const later = this.#later.get(count) ?? Promise.withResolvers();
    this.#later.set(count, later);
    return later.promise;
  }

  reach(count: number, known: T): void {
    this.#reached = count;
    this.#latest = known;
    this.#later.get(count)?.resolve(known);
    this.#later.delete(count);
  }

  end(): void {
    for (const { resolve } of this.#later.values()) resolve(undefined);
  }
}
