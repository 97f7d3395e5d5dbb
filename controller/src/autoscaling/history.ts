// The few moments of each pod that signals are made from: bounded, whatever the number of scrapes.
import type { Figures } from './page.ts';
import { type Moment, type PodSignals, signalsOf } from './signals.ts';

/** Rates reach back over at least so much, and at most twice as much. */
const stretchMs = 10_000;

interface Kept {
  base: Moment;
  next: Moment;
  latest: Moment;
}

export class History {
  readonly #pods = new Map<string, Kept>();
  readonly #staleMs: number;

  /** @param staleMs Older moments say nothing of the present. */
  constructor(staleMs = 60_000) {
    this.#staleMs = staleMs;
  }

  /** @returns What happened lately in this pod. */
  note(id: string, at: number, figures: Figures): PodSignals {
    const now = { at, figures };
    const known = this.#pods.get(id);
    if (!known || at - known.latest.at > this.#staleMs) {
      this.#pods.set(id, { base: now, next: now, latest: now });
      return signalsOf(now, undefined, undefined);
    }
    const signals = signalsOf(now, known.base, known.latest);
    const began = known.base.figures.startedAt !== figures.startedAt;
    if (began || wentBack(now, known.latest)) this.#pods.set(id, { base: now, next: now, latest: now });
    else if (at - known.next.at >= stretchMs) this.#pods.set(id, { base: known.next, next: now, latest: now });
    else known.latest = now;
    return signals;
  }

  keepOnly(ids: ReadonlySet<string>): void {
    for (const id of this.#pods.keys()) if (!ids.has(id)) this.#pods.delete(id);
  }

  get size(): number {
    return this.#pods.size;
  }
}

/** After a lie, rates begin anew from what is said now. */
const wentBack = (now: Moment, latest: Moment): boolean =>
  (now.figures.requests ?? 0) < (latest.figures.requests ?? 0) ||
  (now.figures.cpuSeconds ?? 0) < (latest.figures.cpuSeconds ?? 0);
