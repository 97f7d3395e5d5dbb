// Pipelines that do not follow from one another are compared among themselves, look by look, before any of them goes on: a mediocre one that comes early
// costs no more than a look (successive halving's idea, Jamieson & Talwalkar 2016). What they are told depends on their scores alone, not on their order.
export class Wave {
  /** Pipelines before its first. Its members wait for each other, so that none may wait for more than these. */
  readonly before: number;
  #members: number;
  #told: (readonly number[])[] = [];
  #open = Promise.withResolvers<readonly number[] | undefined>();

  constructor(members: number, before = 0) {
    this.before = before;
    this.#members = members;
  }

  /** The scores of the best, when all that are still there have told theirs; undefined when the search has been stopped. */
  tell(scores: readonly number[]): Promise<readonly number[] | undefined> {
    const { promise } = this.#open;
    this.#told.push(scores);
    this.#openWhenAll();
    return promise;
  }

  /** Each member leaves once, whatever became of it. */
  leave(): void {
    this.#members--;
    this.#openWhenAll();
  }

  /** Those that were stopped are not compared with: who had been told would depend on when. */
  stop(): void {
    this.#members = Number.POSITIVE_INFINITY;
    this.#open.resolve(undefined);
  }

  #openWhenAll(): void {
    if (this.#told.length === 0 || this.#told.length < this.#members) return;
    const sum = (scores: readonly number[]): number => scores.reduce((total, score) => total + score, 0);
    this.#open.resolve(this.#told.reduce((best, scores) => (sum(scores) > sum(best) ? scores : best)));
    this.#told = [];
    this.#open = Promise.withResolvers();
  }
}
