// Which of several children is worth an evaluation: judged by what is known of their neighbours, before any is trained.
//
// A kernel mean of the scores of pipelines of the same learner, in the space of its genes scaled to 0..1, plus a bonus where nothing near is known
// (an upper confidence bound, Srinivas et al. 2010). Of children that promise about the same the one that costs less training goes first.
import { trainingTime } from './cost.ts';
import { type Gene, type Genome, genesOf, type Space } from './genome.ts';

/** Width of the kernel, of a gene's range. */
const width = 0.3;
/** Deviations that the unknown is worth. */
const optimism = 0.5;
/** Deviations of score that ten times the training is worth. */
const thrift = 0.25;
/** Pipelines of one learner that are remembered; the latest are those near the best. */
const remembered = 400;
/** Fewer say nothing. */
const fewest = 8;

interface Known {
  readonly place: readonly number[];
  readonly score: number;
}

export class Preselection {
  readonly #space: Space;
  readonly #known = new Map<string, Known[]>();
  readonly #genes = new Map<string, readonly Gene[]>();
  #scores: number[] = [];

  constructor(space: Space) {
    this.#space = space;
  }

  /** @param score Of all folds, or what those that were run promise */
  learn(genome: Genome, score: number): void {
    if (!Number.isFinite(score)) return;
    const known = this.#known.get(genome.learner) ?? [];
    this.#known.set(genome.learner, [...known, { place: this.#placeOf(genome), score }].slice(-remembered));
    this.#scores = [...this.#scores, score].slice(-remembered);
  }

  /** Whether enough is known to choose by. */
  get ready(): boolean {
    return this.#scores.length >= fewest;
  }

  /** Of several the most promising; the first of equals. */
  best<T extends { readonly genome: Genome }>(children: readonly T[]): T {
    const spread = deviationOf(this.#scores);
    let [chosen] = children;
    let most = Number.NEGATIVE_INFINITY;
    for (const child of children) {
      const promise =
        this.#promiseOf(child.genome, spread) - spread * thrift * Math.log10(trainingTime(child.genome, this.#space));
      if (promise <= most) continue;
      most = promise;
      chosen = child;
    }
    return chosen!;
  }

  #promiseOf(genome: Genome, spread: number): number {
    const place = this.#placeOf(genome);
    const prior = medianOf(this.#scores);
    let weight = 1;
    let sum = prior;
    for (const known of this.#known.get(genome.learner) ?? []) {
      const w = 4 * Math.exp(-distance(place, known.place) / (2 * width * width));
      weight += w;
      sum += w * known.score;
    }
    return sum / weight + (optimism * spread) / Math.sqrt(weight);
  }

  #placeOf({ learner, genes }: Genome): number[] {
    const grammar = this.#genes.get(learner) ?? genesOf(learner, this.#space);
    this.#genes.set(learner, grammar);
    return grammar.map((gene) => {
      const value = genes[gene.name];
      if (gene.kind === 'Choice') return gene.values.indexOf(String(value));
      const { low, high, log } = gene;
      return log ? Math.log(Number(value) / low) / Math.log(high / low) : (Number(value) - low) / (high - low);
    });
  }
}

/** Squares of all genes; another choice is as far as half a range. */
function distance(a: readonly number[], b: readonly number[]): number {
  let sum = 0;
  for (const [i, value] of a.entries()) sum += Math.min(0.25, (value - b[i]!) ** 2);
  return sum;
}

/** From the median, so that one failure does not spread the rest. */
function deviationOf(values: readonly number[]): number {
  const middle = medianOf(values);
  return 1.4826 * medianOf(values.map((value) => Math.abs(value - middle)));
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
