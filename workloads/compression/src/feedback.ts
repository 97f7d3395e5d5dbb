// What `auto` learns: per content type and ratio, how much each strategy kept by measured fidelity. It only ever prefers
// what is clearly better than the built-in choice, and forgets slowly, so that a change of traffic shows.
import type { CompressOptions } from './compress.ts';
import type { ContentType } from './detect.ts';
import { strategies } from './strategies/index.ts';

interface Observed {
  /** Weight of observations; old ones fade. */
  weight: number;
  mean: number;
}

/** Plain JSON, so that it can be kept in Redis or a file and added up over replicas. */
export type FeedbackState = Record<string, Record<string, Observed>>;

const fewest = 8;
const margin = 0.02;
/** Of one strategy in one cell; beyond it old observations fade. */
export const mostWeight = 500;

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

  /** Adds what was seen elsewhere. */
  add(state: FeedbackState): void {
    for (const [name, observed] of Object.entries(state)) {
      const cell = (this.#state[name] ??= {});
      for (const [strategy, { weight, mean }] of Object.entries(observed)) {
        const seen = (cell[strategy] ??= { weight: 0, mean: 0 });
        const sum = seen.weight + weight;
        seen.mean = (seen.mean * seen.weight + mean * weight) / Math.max(sum, 1e-9);
        seen.weight = Math.min(sum, mostWeight);
      }
    }
  }

  observe(type: ContentType, ratio: number, strategy: string, score: number): void {
    const cell = (this.#state[cellOf(type, ratio)] ??= {});
    const seen = (cell[strategy] ??= { weight: 0, mean: 0 });
    seen.weight = Math.min(seen.weight + 1, mostWeight);
    seen.mean += (score - seen.mean) / seen.weight;
  }

  /** The `allowed` strategy that kept clearly more than `usual` did, both seen often enough; undefined when none did. */
  prefer(
    type: ContentType,
    ratio: number,
    usual: string,
    allowed: (strategy: string) => boolean = () => true,
  ): string | undefined {
    const cell = this.#state[cellOf(type, ratio)];
    const base = cell?.[usual];
    if (!cell || !base || base.weight < fewest) return undefined;
    let best: string | undefined;
    let bestMean = base.mean + margin;
    for (const [strategy, { weight, mean }] of Object.entries(cell)) {
      if (weight < fewest || mean <= bestMean || !allowed(strategy)) continue;
      best = strategy;
      bestMean = mean;
    }
    return best;
  }
}

/**
 * What `auto` picks: what an operator fixed for the type, else what was learned, among strategies that keep whole parts and
 * plugins that are there now. Pruning cuts inside sentences and `model` needs a model: both are for who asks for them.
 */
export function preferring(
  feedback: Feedback | undefined,
  fixed: Readonly<Record<string, string>>,
  plugins: readonly string[],
  legend?: boolean,
): NonNullable<CompressOptions['prefer']> {
  const builtIn = new Set([...strategies.keys()].filter((name) => name !== 'pruning' && name !== 'model'));
  if (legend !== true) builtIn.delete('frequency');
  const allowed = (name: string): boolean => builtIn.has(name) || plugins.includes(name);
  return (type, ratio, usual) => {
    const chosen = fixed[type];
    if (chosen && chosen !== 'auto' && !(chosen === 'frequency' && legend === false)) return chosen;
    return feedback?.prefer(type, ratio, usual, allowed);
  };
}

/** Ratios by powers of two: 6 to 11 is one cell with 8. */
function cellOf(type: ContentType, ratio: number): string {
  return `${type}/${2 ** Math.round(Math.log2(Math.max(1, ratio)))}`;
}
