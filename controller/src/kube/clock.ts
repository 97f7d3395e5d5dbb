// The server's time: whose clock an object's times are read off must not depend on which replica reads them.

export interface ClockOptions {
  /** Told when this machine's clock and the server's begin to disagree, and when they agree again (0). */
  onClockSkew?: (aheadMs: number) => void;
  /** This machine's clock. */
  wallClock?: () => number;
}

/** Dates of answers have whole seconds and are as old as the way here took: less than this is no disagreement. */
const toleranceMs = 5_000;
/** How often an answer's date is looked at. */
const checkEveryMs = 10_000;

export class ServerClock {
  readonly #options: ClockOptions;
  readonly #wallClock: () => number;
  /** By how much this machine's clock is ahead of the server's; 0 while they agree. */
  #aheadMs = 0;
  #checkedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ClockOptions) {
    this.#options = options;
    this.#wallClock = options.wallClock ?? Date.now;
  }

  now(): Date {
    return new Date(this.#wallClock() - this.#aheadMs);
  }

  /** @param date Of an answer. */
  compare(date: string | undefined): void {
    const now = performance.now();
    if (date === undefined || now < this.#checkedAt + checkEveryMs) return;
    const local = this.#wallClock();
    // The middle of the second that the date names.
    const ahead = local - (Date.parse(date) + 500);
    if (Number.isNaN(ahead)) return;
    this.#checkedAt = now;
    const aheadMs = Math.abs(ahead) < toleranceMs ? 0 : ahead;
    const hasTurned = Math.abs(aheadMs - this.#aheadMs) >= toleranceMs;
    this.#aheadMs = aheadMs;
    if (hasTurned) this.#options.onClockSkew?.(aheadMs);
  }
}
