// Back and forth between elements and foci: amplitudes at the foci set to what is wanted, those of the elements to one, phases kept.
import { fociToBegin, magnitude, type Outcome, rowNorms, silencer } from './iterations.ts';
import { type ComplexVector, complexVector, multiplyAdjoint } from './matrix.ts';
import { exact, kernelRounds, plainRounds, type Rounds, towardsOne } from './rounds.ts';
import type { Goals } from './targets.ts';

/** How many ways of starting the kernel follows up to which iteration; those that are loudest then go on. */
const heats = [
  { starts: 12, until: 10 },
  { starts: 4, until: 25 },
] as const;

/**
 * Iterative backpropagation. (Marzo and Drinkwater, "Holographic acoustic tweezers", PNAS 116 (2019) 84, methods.) How loud the foci
 * end follows from the phases that they start from: several are tried for a while.
 */
export function iterativeBackpropagation(goals: Goals, iterations: number, seed: number): Outcome {
  const { rows } = goals.loud;
  const way = wayOf(goals, 0);
  const norms = way.norms;
  const several = rows > 1 && way.rounds.precision > exact;
  let runs = Array.from({ length: several ? heats[0].starts : 1 }, (_, i) =>
    begin(rows, { y: fociToBegin(goals, norms, seed + i) }),
  );
  for (const { starts, until } of heats) {
    runs = runs.slice(0, starts);
    for (const run of runs) follow(way, run, Math.min(until, iterations));
    runs.sort((a, b) => b.loudness - a.loudness);
  }
  return end(way, runs[0]!, iterations);
}

/**
 * Weighted Gerchberg–Saxton. (Di Leonardo, Ianni and Ruocco, "Computer generation of optimal holograms for optical trap
 * arrays", Optics Express 15 (2007) 1913, the algorithm named GSW.) Each weight is corrected by the mean amplitude over
 * its focus's own, here to the power 1/2: undamped, weights of close foci swing for ever.
 * @param start Drive to begin with; left out, the foci's own waves added up.
 */
export function weightedGerchbergSaxton(
  goals: Goals,
  iterations: number,
  seed: number,
  start?: ComplexVector,
): Outcome {
  const way = wayOf(goals, 0.5);
  return end(
    way,
    begin(goals.loud.rows, start ? { x: start } : { y: fociToBegin(goals, way.norms, seed) }),
    iterations,
  );
}

interface Way {
  readonly goals: Goals;
  readonly norms: Float64Array;
  readonly hush: (x: ComplexVector) => void;
  readonly rounds: Rounds;
  /** Of the ratio of amplitudes by which weights are corrected; 0 leaves them. */
  readonly power: number;
}

function wayOf(goals: Goals, power: number): Way {
  const { loud, quiet } = goals;
  const hush = silencer(quiet);
  const rounds = (quiet.rows === 0 && kernelRounds(loud)) || plainRounds(loud, hush);
  return { goals, norms: rowNorms(loud), hush, rounds, power };
}

/** Where one run stands. */
interface Run {
  /** Drive of the elements; none before the first iteration, where the foci begin. */
  x: ComplexVector | undefined;
  /** What the foci send back. */
  readonly y: ComplexVector;
  readonly weights: Float64Array;
  reached: Float64Array;
  iterations: number;
  /** What the iteration makes large: amplitudes at the foci, each by what is wanted over what it could be. */
  loudness: number;
  settled: boolean;
}

function begin(rows: number, { x, y = complexVector(rows) }: { x?: ComplexVector; y?: ComplexVector }): Run {
  const weights = new Float64Array(rows).fill(1);
  return { x, y, weights, reached: new Float64Array(rows), iterations: 0, loudness: 0, settled: false };
}

/** Up to so many iterations in all, or until no amplitude moves by more than the rounds' precision. */
function follow({ goals, norms, rounds, power }: Way, run: Run, iterations: number): void {
  const { wanted } = goals;
  const { rows } = goals.loud;
  const { y, weights } = run;
  const b = complexVector(rows);
  if (run.x) rounds.start(run.x);
  else rounds.backward(y);
  while (run.iterations < iterations && !run.settled) {
    rounds.forward(b);
    run.iterations++;
    const reached = Float64Array.from(b.re, (re, j) => magnitude(re, b.im[j]!) / wanted[j]!);
    const mean = reached.reduce((sum, each) => sum + each, 0) / rows;
    const moved = reached.reduce((most, each, j) => Math.max(most, Math.abs(each - run.reached[j]!)), 0);
    run.loudness = reached.reduce((sum, each, j) => sum + (each * wanted[j]! ** 2) / norms[j]!, 0);
    run.reached = reached;
    run.settled = moved <= rounds.precision * mean;
    if (run.settled) break;
    for (let j = 0; j < rows; j++) {
      if (power > 0) weights[j]! *= Math.min(10, Math.max(0.1, (mean / Math.max(reached[j]!, 1e-12 * mean)) ** power));
      const size = magnitude(b.re[j]!, b.im[j]!) || 1;
      // By row norm, so that a far focus is not the quieter for being far.
      const gain = (weights[j]! * wanted[j]!) / norms[j]! / size;
      y.re[j] = b.re[j]! * gain;
      y.im[j] = b.im[j]! * gain;
    }
    if (power > 0) keepInRange(weights);
    rounds.backward(y);
  }
  run.x = rounds.drive();
}

/** Of the largest weight: one as small as this can still grow again. */
const leastWeight = 1e-200;

/** Weights of foci that elements cannot meet grow or shrink for ever; only what they are to one another counts. */
function keepInRange(weights: Float64Array): void {
  const scale = towardsOne(weights.reduce((most, each) => Math.max(most, each), 0));
  for (let j = 0; j < weights.length; j++) weights[j] = Math.max(weights[j]! * scale, leastWeight);
}

/** The rest of a run, in 64 bits where 32 tell no difference any more. */
function end(way: Way, run: Run, iterations: number): Outcome {
  follow(way, run, iterations);
  const { loud } = way.goals;
  if (run.settled && way.rounds.precision > exact) {
    run.settled = false;
    follow({ ...way, rounds: plainRounds(loud, way.hush) }, run, iterations);
  }
  const x = run.x ?? complexVector(loud.columns);
  if (!run.settled) {
    multiplyAdjoint(loud, run.y, x);
    way.hush(x);
  }
  return { x, iterations: run.iterations };
}
