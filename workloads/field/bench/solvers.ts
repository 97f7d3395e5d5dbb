// The solvers: how many solves a second, and how good each is over seeded random sets of targets, beside AcousTools.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type Row, row } from '@quintet/runtime/bench';
import { resolve } from '../src/job/problem.ts';
import { usableCores } from '../src/machine.ts';
import { rowNorms } from '../src/solver/iterations.ts';
import { type SolverSettings, solveGoals } from '../src/solver/solve.ts';
import { type Goals, goalsOf, type Target } from '../src/solver/targets.ts';
import { levitator, noTables } from './direct-sum.ts';
import type { Peer } from './python.ts';

const iterations = 100;
const settings: SolverSettings = {
  algorithm: 'GSPAT',
  iterations,
  phaseLevels: 0,
  amplitude: 'Fixed',
  amplitudeLevels: 0,
  regularization: 0.01,
  learningRate: 0.1,
  seed: 0,
};
const algorithms = ['Naive', 'IBP', 'WeightedGS', 'GSPAT', 'Eigen', 'Adam', 'LBFGS'] as const;
const sizes = [2, 4, 8, 16, 32] as const;

interface Quality {
  /** Mean focal amplitude over what a single focus would get, times the root of the number of foci. */
  amplitude: number;
  /** Least over largest focal amplitude of a set. */
  uniformity: number;
  milliseconds: number;
  /** Of all threads: what other work on the machine takes does not show in it. */
  cpuMilliseconds: number;
}

export async function solvers(quick: boolean, peer: Peer | undefined): Promise<Row[]> {
  return [...(await speed(quick)), ...(await quality(quick ? 4 : 200, peer))];
}

async function speed(quick: boolean): Promise<Row[]> {
  const threads = usableCores();
  const goals = goalsOf(emitters(), randomTargets(32, random(1)));
  const answers = await Promise.all(Array.from({ length: threads }, () => solveFor(goals, quick ? 0.5 : 3)));
  const perSecond = answers.reduce((sum, { solves, seconds }) => sum + solves / seconds, 0);
  const solves = answers.reduce((sum, each) => sum + each.solves, 0);
  const cpu = answers.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
  const base = { bench: 'field', case: 'GS-PAT', better: 'higher', peers: {} } as const;
  const size = `Z=32 T=512 ${iterations} iterations`;
  return [
    row(
      { ...base, size: `${size} ${threads} threads`, metric: 'solves', unit: '1/s', ours: perSecond },
      { absolute: 1500 },
    ),
    row({ ...base, size, metric: 'solves per CPU second', unit: '1/s', ours: solves / cpu }),
  ];
}

function solveFor(goals: Goals, seconds: number): Promise<{ solves: number; seconds: number; cpuSeconds: number }> {
  return new Promise((done, fail) => {
    const worker = new Worker(new URL('./solves.worker.ts', import.meta.url), {
      workerData: { goals, iterations, seconds },
    });
    worker.once('message', done).once('error', fail);
  });
}

/** @param sets of each size: five sizes. */
async function quality(sets: number, peer: Peer | undefined): Promise<Row[]> {
  const rows: Row[] = [];
  for (const count of sizes) {
    const next = random(count);
    const targets = Array.from({ length: sets }, () => randomTargets(count, next));
    const matrices = targets.map((each) => goalsOf(emitters(), each));
    const theirs = await askAcousTools(peer, matrices);
    const best = theirs && Object.entries(theirs).toSorted(([, a], [, b]) => b.amplitude - a.amplitude)[0];
    for (const algorithm of algorithms) {
      const all: Quality = { amplitude: 0, uniformity: 0, milliseconds: 0, cpuMilliseconds: 0 };
      // The first solves are slower: the code is not yet compiled for speed.
      for (let i = 0; i < 20; i++) solveGoals(matrices[0]!, targets[0]!, { ...settings, algorithm });
      targets.forEach((each, i) => {
        // As AcousTools: the matrices are there.
        const start = performance.now();
        const busy = process.cpuUsage();
        const { drive } = solveGoals(matrices[i]!, each, { ...settings, algorithm });
        const milliseconds = performance.now() - start;
        const { user, system } = process.cpuUsage(busy);
        const one = judged(matrices[i]!, drive.phases);
        all.amplitude += one.amplitude / sets;
        all.uniformity += one.uniformity / sets;
        all.milliseconds += milliseconds / sets;
        all.cpuMilliseconds += (user + system) / 1000 / sets;
      });
      const base = { bench: 'field', case: `quality of ${algorithm}`, size: `Z=${count} T=512 ${sets} sets` } as const;
      const of = (value: (quality: Quality) => number): Record<string, number> =>
        best ? { [`AcousTools ${best[0]}`]: value(best[1]) } : {};
      rows.push(
        row({
          ...base,
          metric: 'amplitude',
          unit: 'of ideal',
          better: 'higher',
          ours: all.amplitude,
          peers: of((q) => q.amplitude),
        }),
        row({
          ...base,
          metric: 'uniformity',
          unit: 'least/largest',
          better: 'higher',
          ours: all.uniformity,
          peers: of((q) => q.uniformity),
        }),
        row({
          ...base,
          metric: 'time',
          unit: 'ms',
          better: 'lower',
          ours: all.milliseconds,
          peers: of((q) => q.milliseconds),
        }),
        row({
          ...base,
          metric: 'CPU time',
          unit: 'ms',
          better: 'lower',
          ours: all.cpuMilliseconds,
          peers: of((q) => q.cpuMilliseconds),
        }),
      );
    }
  }
  return rows;
}

let array: ReturnType<typeof resolve>['emitters'] | undefined;
function emitters(): ReturnType<typeof resolve>['emitters'] {
  array ??= resolve(levitator('5mm'), noTables).emitters;
  return array;
}

function judged({ loud }: Goals, phases: ArrayLike<number>): Pick<Quality, 'amplitude' | 'uniformity'> {
  const norms = rowNorms(loud);
  const reached = Array.from({ length: loud.rows }, (_, j) => {
    let re = 0;
    let im = 0;
    for (let t = 0; t < loud.columns; t++) {
      const [aRe, aIm] = [loud.re[j * loud.columns + t]!, loud.im[j * loud.columns + t]!];
      const [cos, sin] = [Math.cos(phases[t]!), Math.sin(phases[t]!)];
      re += aRe * cos - aIm * sin;
      im += aRe * sin + aIm * cos;
    }
    return Math.hypot(re, im) / norms[j]!;
  });
  const mean = reached.reduce((sum, each) => sum + each, 0) / reached.length;
  return { amplitude: mean * Math.sqrt(loud.rows), uniformity: Math.min(...reached) / Math.max(...reached) };
}

/** Its solvers on our matrices; undefined where it cannot be had. */
async function askAcousTools(
  peer: Peer | undefined,
  goals: readonly Goals[],
): Promise<Record<string, Quality> | undefined> {
  if (!peer) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'quintet-bench-'));
  try {
    const path = join(folder, 'matrices.f64');
    writeFileSync(path, Buffer.concat(goals.flatMap(({ loud }) => [bytesOf(loud.re), bytesOf(loud.im)])));
    const { rows, columns } = goals[0]!.loud;
    const answer = await peer.ask<
      Record<string, { phases: number[][]; milliseconds: number; cpuMilliseconds: number }>
    >({
      ask: 'acoustools_solve',
      path,
      sets: goals.length,
      rows,
      columns,
      iterations,
    });
    return Object.fromEntries(
      Object.entries(answer).map(([solver, { phases, ...times }]) => {
        const each = phases.map((drive, i) => judged(goals[i]!, drive));
        const mean = (value: (one: (typeof each)[number]) => number): number =>
          each.reduce((sum, one) => sum + value(one), 0) / each.length;
        return [solver, { amplitude: mean((q) => q.amplitude), uniformity: mean((q) => q.uniformity), ...times }];
      }),
    );
  } catch (error) {
    console.error(`without AcousTools: ${(error as Error).message}`);
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float64Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

/** In a box of 60 mm around the middle, at least a wavelength apart. */
function randomTargets(count: number, next: () => number): Target[] {
  const places: [number, number, number][] = [];
  while (places.length < count) {
    const place: [number, number, number] = [next() * 0.06 - 0.03, next() * 0.06 - 0.03, 0.07 + next() * 0.06];
    if (places.every((other) => Math.hypot(...other.map((v, i) => v - place[i]!)) > 8.65e-3)) places.push(place);
  }
  return places.map((position, i) => ({
    name: `t${i}`,
    position,
    trap: 'Focus',
    weight: 1,
    axis: 0,
    charge: 1,
    radius: 4e-3,
  }));
}

/** Numbers from 0 to 1 from a seed. (Mulberry32, by T. Ettinger.) */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
