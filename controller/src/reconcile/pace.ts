// How soon one resource is reconciled again after it was written to. Normally at once; but where writing has become a
// habit (somebody else writes back, or a kind never desires the same twice) the pace slows down.

export interface ChildWrites {
  /** Children applied or deleted. */
  writes: number;
  /** Those of them that only set right what somebody else had changed. */
  corrections: number;
  /** Something was left alone until it is gone, and no watch of ours sees it go. */
  awaitsUnseen?: boolean;
}

interface Habit {
  /** Reconciles in a row that wrote. */
  inRow: number;
  corrections: number;
  correctedAt: number;
}

const fightAfter = 5;
/** A fight is over when nothing had to be set right for so long. */
const peaceMs = 60_000;

export class Pace {
  readonly #habits = new Map<string, Habit>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Notes what a reconcile wrote. Answers the wait until the next one; undefined when none is needed. */
  note(key: string, { writes, corrections }: ChildWrites): number | undefined {
    const before = this.#habits.get(key);
    const quiet = before === undefined || this.#now() - before.correctedAt > peaceMs;
    if (writes === 0) {
      if (before && quiet) this.#habits.delete(key);
      else if (before) before.inRow = 0;
      return undefined;
    }
    const habit = before ?? { inRow: 0, corrections: 0, correctedAt: Number.NEGATIVE_INFINITY };
    habit.inRow++;
    if (quiet) habit.corrections = 0;
    if (corrections > 0) {
      habit.corrections++;
      habit.correctedAt = this.#now();
    }
    this.#habits.set(key, habit);
    return waitOf(Math.max(habit.inRow, habit.corrections));
  }

  /** How long an event about the resource waits: 0 unless it is fought over. */
  waitOf(key: string): number {
    const habit = this.#habits.get(key);
    return habit ? waitOf(habit.corrections) : 0;
  }

  /** Whether the last correction was the one from which on it counts as a fight. */
  isNewFight(key: string): boolean {
    return this.#habits.get(key)?.corrections === fightAfter;
  }

  forget(key: string): void {
    this.#habits.delete(key);
  }
}

/** Nothing at first, then 200 ms and doubling up to 10 s. */
function waitOf(times: number): number {
  return times < fightAfter ? 0 : Math.min(10_000, 200 * 2 ** (times - fightAfter));
}
