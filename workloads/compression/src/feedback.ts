// What `auto` learns: per content type and ratio, how much each strategy kept by measured fidelity. It only ever prefers
// what is clearly better than the built-in choice, and forgets slowly, so that a change of traffic shows.
import type { ContentType } from './detect.ts';

interface Observed {
  /** Weight of observations; old ones fade. */
  weight: number;
  mean: number;
}

/** Plain JSON, so that it can be kept in Redis or a file and added up over replicas. */
export type FeedbackState = Record<string, Record<string, Observed>>;

const fewest = 8;
const margin = 0.02;
const memory = 500;

export class Feedback {
  #state: FeedbackState;

  constructor(state: FeedbackState = {}) {
    this.#state = state;
  }

  get state(): FeedbackState {
    return this.#state;
  }

  /** Takes over what was persisted. */
  restore(state: FeedbackState): void {
    this.#state = state;
  }

  observe(type: ContentType, ratio: number, strategy: string, score: number): void {
    const cell = (this.#state[cellOf(type, ratio)] ??= {});
    const seen = (cell[strategy] ??= { weight: 0, mean: 0 });
    seen.weight = Math.min(seen.weight + 1, memory);
    seen.mean += (score - seen.mean) / seen.weight;
  }

  /** The strategy that kept clearly more than `usual` did, both seen often enough; undefined when none did. */
  prefer(type: ContentType, ratio: number, usual: string): string | undefined {
    const cell = this.#state[cellOf(type, ratio)];
    const base = cell?.[usual];
    if (!cell || !base || base.weight < fewest) return undefined;
    let best: string | undefined;
    let bestMean = base.mean + margin;
    for (const [strategy, { weight, mean }] of Object.entries(cell)) {
      if (weight < fewest || mean <= bestMean) continue;
      best = strategy;
      bestMean = mean;
    }
    return best;
  }
}

/** Ratios by powers of two: 6 to 11 is one cell with 8. */
function cellOf(type: ContentType, ratio: number): string {
  return `${type}/${2 ** Math.round(Math.log2(Math.max(1, ratio)))}`;
}
