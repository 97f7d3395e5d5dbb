// The search: pipelines are bred, raced over folds and take their place, strictly in order of their number.
//
// Pipeline i is bred when pipeline i − lag has taken its place, and judged by what is known half a lag later, and from nothing else. The lag is a
// property of the search, not of the machines, so results do not depend on how many workers there are, which is first, or which dies. Only a clock can cut a search at another place; where it did is
// part of the result, and a replay that is told so ends with the same pipelines.
import type { Evaluator } from '../evaluate/task.ts';
import { type Random, randomOf } from '../random.ts';
import { firstGeneration, firstWaves } from './first.ts';
import { type Genome, keyOf, type Space } from './genome.ts';
import { Kept } from './kept.ts';
import { Milestones } from './milestones.ts';
import { type Bred, bred, type Candidate, type Individual, Island } from './population.ts';
import { Preselection } from './preselect.ts';
import { Race } from './racing.ts';
import { type Completed, type Finish, type Known, looksOf, tried } from './trial.ts';
import type { Rates } from './vary.ts';
import type { Wave } from './wave.ts';

export interface SearchOptions {
  readonly space: Space;
  readonly population: number;
  readonly generations: number;
  readonly islands: number;
  readonly migration: { readonly interval: number; readonly count: number };
  readonly rates: Rates;
  readonly folds: number;
  readonly seed: number;
  readonly racing: boolean;
  /** Whether the cost of a prediction is the second objective. */
  readonly cost: boolean;
  /** Share of teaching rows in the first look; 1 where data is too small for it. */
  readonly fraction: number;
  /** Most pipelines. */
  readonly evaluations: number;
  readonly earlyStopping: { readonly generations: number; readonly minImprovement: number };
  /** Tried before the defaults. */
  readonly first?: readonly Genome[];
  /** Where a clock stopped the run that is replayed. */
  readonly replay?: Cut;
}

/** Pipelines that had taken their place when the clock struck, and later ones that were ready too. */
export interface Cut {
  readonly placed: number;
  readonly ready: readonly number[];
  /** Frozen models that were judged by then, by their place in the problem; undefined where there are none. */
  readonly frozen?: readonly number[];
}

export interface SearchProgress {
  readonly generation: number;
  readonly placed: number;
  readonly racedOut: number;
  readonly failed: number;
  readonly cached: number;
  readonly best: Individual | undefined;
}

export interface SearchResult extends SearchProgress {
  /** Every pipeline that ran all folds, by number. */
  readonly complete: readonly Individual[];
  readonly curve: readonly { readonly placed: number; readonly seconds: number; readonly score: number }[];
  readonly failures: readonly string[];
  readonly reason: 'Generations' | 'Evaluations' | 'EarlyStopping' | 'Clock';
  readonly cut: Cut;
}

/** Children of which the most promising is evaluated, and the share of pipelines that are not chosen. */
const children = 8;
const asItComes = 0.25;
/** @param stopped aborts when the clock has struck */
export async function search(
  evaluator: Evaluator,
  options: SearchOptions,
  stopped: AbortSignal,
  onProgress: (progress: SearchProgress) => void = () => undefined,
): Promise<SearchResult> {
  return new Search(evaluator, options, stopped, onProgress).run();
}

class Search {
  readonly #evaluator: Evaluator;
  readonly #options: SearchOptions;
  readonly #stopped: AbortSignal;
  readonly #onProgress: (progress: SearchProgress) => void;
  readonly #islands: Island[];
  readonly #race: Race;
  readonly #preselection: Preselection;
  readonly #defaults: readonly Genome[];
  /** By index. The first of each learner are not among them: nobody waits for what may take long. */
  readonly #waves: ReadonlyMap<number, Wave>;
  readonly #known = new Set<string>();
  readonly #milestones: Milestones<Known>;
  readonly #learners = new Set<string>();
  readonly #complete: Individual[] = [];
  readonly #kept = new Kept();
  readonly #failures: string[] = [];
  readonly #curve: { placed: number; seconds: number; score: number }[] = [];
  readonly #started = performance.now();
  #placed = 0;
  #racedOut = 0;
  #failed = 0;
  #cached = 0;
  #best: Individual | undefined;
  #stale = { generation: 0, score: Number.NEGATIVE_INFINITY };

  constructor(
    evaluator: Evaluator,
    options: SearchOptions,
    stopped: AbortSignal,
    onProgress: (progress: SearchProgress) => void,
  ) {
    this.#evaluator = evaluator;
    this.#options = options;
    this.#stopped = stopped;
    this.#onProgress = onProgress;
    this.#islands = Array.from(
      { length: options.islands },
      () => new Island(Math.max(4, Math.floor(options.population / options.islands))),
    );
    // One look at the sample, and one after each part but the last.
    this.#race = new Race(looksOf(options.folds).length);
    this.#milestones = new Milestones<Known>({ judge: this.#race.frozen(), reference: undefined });
    this.#preselection = new Preselection(options.space);
    this.#defaults = firstGeneration(options.space, options.first);
    this.#waves = options.racing ? firstWaves(this.#defaults.slice(0, mostOf(options))) : new Map();
  }

  async run(): Promise<SearchResult> {
    const { population, evaluations, replay } = this.#options;
    const lag = lagOf(population);
    const most = mostOf(this.#options);
    const wave = Math.max(0, ...this.#waves.keys()) + 1;
    const flying: Promise<Finish>[] = [];
    let bredSoFar = 0;
    let reason: SearchResult['reason'] = most === evaluations ? 'Evaluations' : 'Generations';
    const breedUpTo = (count: number): void => {
      while (bredSoFar < Math.min(most, count)) flying.push(this.#evaluate(this.#breed(bredSoFar++)));
    };
    // The first teaches what the others are compared with.
    breedUpTo(this.#options.racing ? 1 : lag);
    let ready: number[] = [];
    while (flying.length > 0) {
      if (replay && this.#placed >= replay.placed) {
        this.#milestones.end();
        const only = new Set(replay.ready);
        // The others were not ready then: nobody waits for what would be thrown away.
        ready = this.#placeLate(await Promise.all(flying.filter((_, i) => only.has(this.#placed + i))));
        reason = 'Clock';
        break;
      }
      const finish = await flying.shift()!;
      if (finish.kind === 'Stopped' || this.#stopped.aborted) {
        this.#milestones.end();
        ready = this.#placeLate([finish, ...(await Promise.all(flying))]);
        reason = 'Clock';
        break;
      }
      this.#place(finish);
      this.#onProgress(this.#progress());
      if (this.#stalled()) {
        reason = 'EarlyStopping';
        break;
      }
      breedUpTo(Math.max(wave, this.#placed + lag));
    }
    return {
      ...this.#progress(),
      complete: this.#complete,
      curve: this.#curve,
      failures: this.#failures,
      reason,
      cut: { placed: this.#placed, ready },
    };
  }

  #breed(index: number): Candidate {
    const { population, islands, seed } = this.#options;
    const island = index % islands;
    const made =
      index < this.#defaults.length
        ? { genome: this.#defaults[index]!, parents: [] }
        : this.#child(island, randomOf('breed', seed, index));
    const key = keyOf(made.genome);
    this.#known.add(key);
    return { index, island, generation: Math.floor(index / population), key, ...made };
  }

  /** Of several children the most promising; one in some is taken as it comes, so that no prejudice lasts. */
  #child(island: number, random: Random): Bred {
    const { space, rates } = this.#options;
    const breed = () => bred(this.#islands[island]!, space, rates, random, this.#known);
    if (!this.#preselection.ready || random.next() < asItComes) return breed();
    return this.#preselection.best(Array.from({ length: children }, breed));
  }

  #isPioneer({ genome: { learner } }: Candidate): boolean {
    if (this.#learners.has(learner)) return false;
    this.#learners.add(learner);
    return true;
  }

  /** Everything that decides is fixed by which pipelines have taken their place: later arrivals must not change its fate. */
  #evaluate(candidate: Candidate): Promise<Finish> {
    const { index } = candidate;
    const options = this.#options;
    const wave = this.#waves.get(index);
    const pioneer = this.#isPioneer(candidate);
    const alone = !options.racing || index === 0;
    const latest = Math.min(index - judgedAfter(options.population), wave?.before ?? index);
    const known = this.#milestones.when(alone ? 0 : latest);
    return tried(candidate, { evaluator: this.#evaluator, options, alone, known, pioneer, wave });
  }

  #place(finish: Finish): void {
    this.#placed++;
    if (finish.kind === 'Complete') this.#settle(finish);
    else if (finish.kind === 'RacedOut') {
      this.#racedOut++;
      this.#preselection.learn(finish.candidate.genome, finish.promise);
    } else {
      this.#failed++;
      if (this.#failures.length < 20) this.#failures.push(`${finish.candidate.genome.learner}: ${finish.reason}`);
    }
    this.#migrate();
    this.#milestones.reach(this.#placed, { judge: this.#race.frozen(), reference: this.#best });
  }

  #settle({ individual, cached }: Completed): void {
    this.#cached += cached ? 1 : 0;
    const island = this.#islands[individual.island]!;
    this.#race.learn(individual, this.#best);
    this.#preselection.learn(individual.genome, individual.score);
    island.add(individual);
    this.#complete.push(individual);
    this.#kept.add(individual);
    if (this.#best && individual.score <= this.#best.score) return;
    this.#best = individual;
    this.#curve.push({
      placed: this.#placed,
      seconds: (performance.now() - this.#started) / 1000,
      score: individual.score,
    });
  }

  /** Pipelines that were ready when the clock struck, out of turn; no other is bred from them. */
  #placeLate(finishes: readonly Finish[]): number[] {
    const placed: number[] = [];
    for (const finish of finishes) {
      if (finish.kind !== 'Complete') continue;
      this.#settle(finish);
      placed.push(finish.candidate.index);
    }
    return placed;
  }

  /** Each island's best go to the next one. */
  #migrate(): void {
    const { population, migration, islands } = this.#options;
    if (islands < 2 || this.#placed % (population * migration.interval) !== 0) return;
    const movers = this.#islands.map((island) => island.byScore().slice(0, migration.count));
    for (const [i, island] of this.#islands.entries())
      for (const mover of movers[(i + islands - 1) % islands]!) island.add(mover);
  }

  #stalled(): boolean {
    const { population, earlyStopping } = this.#options;
    const generation = Math.floor(this.#placed / population);
    const score = this.#best?.score ?? Number.NEGATIVE_INFINITY;
    if (score > this.#stale.score + earlyStopping.minImprovement) this.#stale = { generation, score };
    return generation - this.#stale.generation >= earlyStopping.generations;
  }

  #progress(): SearchProgress {
    return {
      generation: Math.floor(this.#placed / this.#options.population),
      placed: this.#placed,
      racedOut: this.#racedOut,
      failed: this.#failed,
      cached: this.#cached,
      best: this.#best,
    };
  }
}

function mostOf({ evaluations, population, generations }: SearchOptions): number {
  return Math.min(evaluations, population * generations);
}

/** Pipelines that are under way at once: enough for many workers, few enough that each is bred from recent ones. */
export function lagOf(population: number): number {
  return Math.max(4, Math.ceil(0.75 * population));
}

/** Pipelines before one that may still be under way when it is judged: few, so that it is judged by the latest. */
function judgedAfter(population: number): number {
  return Math.ceil(lagOf(population) / 2);
}
