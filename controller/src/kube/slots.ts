// How much goes on at once. What takes long no longer counts, so that slow ones (a webhook that times out, a stalled
// connection) never keep quick ones waiting. There is room for so many slow ones, and no path to the server may take all of
// it: what is too much of one kind is turned away, to come again later.

export interface SlotsOptions {
  /** Quick ones at once. */
  quick: number;
  /** Slow ones beside them; further ones count as quick, and others wait for them. */
  slow: number;
  /** One that is held for so long is slow, in milliseconds. */
  slowAfterMs: number;
  /** Slow ones of one kin, and of one crowd of kins, at once; further ones are turned away. Left out: no bound. */
  perKin?: number;
  perCrowd?: number;
}

/** Held from `take` to `release`; time counts from `begin`. */
export interface Slot {
  /**
   * @param kin What it is likely to be as slow as: it makes room at once where one of them was slow lately.
   * @param crowd What its kin belongs to.
   * @returns false where it is turned away: there are too many slow ones of its kin or crowd. It still is to be released.
   */
  begin(kin: string, crowd?: string): boolean;
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
  /** Slow ones under way, by kin and by crowd. */
  readonly #slowOf = new Map<string, number>();

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
    let hasRoom = false;
    let counted: string[] = [];
    let timer: NodeJS.Timeout | undefined;
    const countAsSlow = (names: string[]): void => {
      counted = names;
      for (const name of names) this.#slowOf.set(name, (this.#slowOf.get(name) ?? 0) + 1);
      if (this.#slow >= this.#options.slow) return;
      hasRoom = true;
      this.#slow++;
      this.#pass();
    };
    return {
      begin: (kin, crowd) => {
        const names = [`kin ${kin}`, ...(crowd === undefined ? [] : [`crowd ${crowd}`])];
        const isKnown = this.#isKnownSlow(kin);
        if (this.#isCrowded(names, isKnown)) return false;
        if (isKnown) countAsSlow(names);
        timer = setTimeout(() => {
          this.#remember(kin);
          if (counted.length === 0) countAsSlow(names);
        }, this.#options.slowAfterMs).unref();
        return true;
      },
      release: () => {
        clearTimeout(timer);
        for (const name of counted) {
          const left = (this.#slowOf.get(name) ?? 0) - 1;
          if (left > 0) this.#slowOf.set(name, left);
          else this.#slowOf.delete(name);
        }
        if (hasRoom) this.#slow--;
        else this.#pass();
      },
    };
  }

  /** A crowd is full for those too of which nobody knows yet how slow they are: they would learn it in a quick slot. */
  #isCrowded([kin = '', crowd]: string[], isKnown: boolean): boolean {
    const { perKin = Number.POSITIVE_INFINITY, perCrowd = Number.POSITIVE_INFINITY } = this.#options;
    const of = (name: string | undefined): number => (name === undefined ? 0 : (this.#slowOf.get(name) ?? 0));
    return of(crowd) >= perCrowd || (isKnown && of(kin) >= perKin);
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
