// How much goes on at once. What takes long no longer counts, so that slow ones (a webhook that times out, a stalled
// connection) never keep quick ones waiting.

export interface SlotsOptions {
  /** Quick ones at once. */
  quick: number;
  /** Slow ones beside them; further ones count as quick, and others wait for them. */
  slow: number;
  /** One that is held for so long is slow, in milliseconds. */
  slowAfterMs: number;
}

/** Held from `take` to `release`; time counts from `begin`. */
export interface Slot {
  /** @param kin What it is likely to be as slow as: it makes room at once where one of them was slow lately. */
  begin(kin: string): void;
  release(): void;
}

/** So long a kin counts as slow after one of it was. */
const rememberMs = 60_000;
/** More at once are not told apart. */
const maxRemembered = 1_000;

export class Slots {
  readonly #options: SlotsOptions;
  #free: number;
  #slow = 0;
  readonly #waiting: (() => void)[] = [];
  /** When one of a kin was slow last. */
  readonly #slowAt = new Map<string, number>();

  constructor(options: SlotsOptions) {
    this.#options = options;
    this.#free = options.quick;
  }

  /** Waits until there is a slot, in order of arrival. */
  async take(): Promise<Slot> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.#slot();
  }

  #slot(): Slot {
    let isSlow = false;
    let timer: NodeJS.Timeout | undefined;
    const countAsSlow = (): void => {
      if (this.#slow >= this.#options.slow) return;
      isSlow = true;
      this.#slow++;
      this.#pass();
    };
    return {
      begin: (kin) => {
        if (this.#isKnownSlow(kin)) countAsSlow();
        timer = setTimeout(() => {
          this.#remember(kin);
          if (!isSlow) countAsSlow();
        }, this.#options.slowAfterMs).unref();
      },
      release: () => {
        clearTimeout(timer);
        if (isSlow) this.#slow--;
        else this.#pass();
      },
    };
  }

  #isKnownSlow(kin: string): boolean {
    const at = this.#slowAt.get(kin);
    if (at === undefined) return false;
    if (performance.now() - at < rememberMs) return true;
    this.#slowAt.delete(kin);
    return false;
  }

  #remember(kin: string): void {
    // Inserted anew, so that the oldest are first.
    this.#slowAt.delete(kin);
    this.#slowAt.set(kin, performance.now());
    if (this.#slowAt.size > maxRemembered) this.#slowAt.delete(this.#slowAt.keys().next().value as string);
  }

  /** A quick slot is free: it is the next one's, or nobody's. */
  #pass(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }
}
