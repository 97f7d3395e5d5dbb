// The clock of a run's budget. Attempts at one run share it: what earlier ones did is found again beside the clock, and the rest of the budget follows.
import type { Cut } from '../search/search.ts';
import { after } from '../timer.ts';

/** How far attempts at a run have come. */
export interface Before {
  /** Of the budget. */
  readonly seconds: number;
  /** Pipelines that had taken their place. */
  readonly placed: number;
  /** Where the clock cut the search, once it did. */
  readonly cut?: Cut;
}

export interface ClockOptions {
  /** Seconds until the search must end. */
  readonly seconds: number;
  /** `performance.now()` when a first attempt began. */
  readonly started: number;
  readonly before: Before;
  /** Told once, when time is up. */
  readonly strike: () => void;
}

export class BudgetClock {
  readonly #options: ClockOptions;
  /** When the budget would have begun in one attempt; undefined while what was done before is found again. */
  #origin: number | undefined;
  #stop: (() => void) | undefined;
  /** What was done before could not be found again in a time that is ample for it. */
  lost = false;

  constructor(options: ClockOptions) {
    this.#options = options;
    const { before, started } = options;
    if (before.placed === 0 && !before.cut) this.#begin(started);
    else this.#stop = after(1000 * (60 + 2 * Math.max(before.seconds, 30)), () => this.#lose());
  }

  /** Seconds of the budget that are used. */
  get spent(): number {
    return this.#origin === undefined ? this.#options.before.seconds : (performance.now() - this.#origin) / 1000;
  }

  /** The search is so far; what comes after what was done before runs against the clock. */
  pass(placed: number): void {
    const { before } = this.#options;
    if (this.#origin === undefined && !before.cut && placed >= before.placed) this.#begin(this.#resumedAt());
  }

  /** The search has ended. @returns when the budget would have begun in one attempt */
  end(): number {
    this.#stop?.();
    this.#origin ??= this.#resumedAt();
    return this.#origin;
  }

  #resumedAt(): number {
    const { before, seconds } = this.#options;
    return performance.now() - 1000 * Math.min(before.seconds, seconds);
  }

  #begin(origin: number): void {
    const { seconds, strike } = this.#options;
    this.#origin = origin;
    this.#stop?.();
    const left = origin + 1000 * seconds - performance.now();
    if (left > 0) this.#stop = after(left, strike);
    else strike();
  }

  #lose(): void {
    this.lost = true;
    this.#options.strike();
  }
}
