// The largest pressures over all frames of a motion: what safety is judged by.
import type { RowKernel } from '../kernel/kernel.ts';
import { type Drive, drivenSources } from '../physics/sources.ts';
import { targetsAt } from './motion.ts';
import type { Problem } from './problem.ts';
import { judge, type Maxima, thermalIndexIn } from './safety.ts';
import { type Effort, sampleMaxima } from './sample.ts';
import type { Turns } from './turns.ts';

/** Waves that all samples of all frames come to: about a minute of one thread. */
const mostWaves = 2e10;
/** Points of a frame's sample, however many frames there are, and where few are. */
const fewestSamples = 1000;
const mostSamples = 8000;
/** Frames that are looked at where nothing is limited: what they give is only told. */
const toldFrames = 16;

export interface FrameMaxima {
  readonly maxima: Maxima;
  /** Largest pressure of the first frame, whose field is stored. Pa. */
  readonly first: number;
  /** That breaks a limit most; the first when none is broken. */
  readonly frame: number;
}

/** The first frame is looked at as thoroughly as a still one, each other for what it differs in. */
export function* maximaOf(problem: Problem, drives: readonly Drive[]): Turns<FrameMaxima> {
  const { safety, emitters } = problem;
  const { action: _action, zones, ...limits } = safety;
  const limited = zones.length > 0 || Object.keys(limits).length > 0;
  const frames = limited ? drives.map((_, frame) => frame) : spread(drives.length, toldFrames);
  const samples = mostWaves / frames.length / Math.max(1, emitters.elements.count);
  const quick: Effort = {
    samples: Math.min(mostSamples, Math.max(fewestSamples, samples)),
    climbers: 3,
    kernels: new Map<number, RowKernel>(),
  };
  const sample = function* (frame: number): Turns<Maxima> {
    const sources = drivenSources(emitters, drives[frame]!);
    const sampled =
      frame === 0 ? sampleMaxima(problem, sources) : sampleMaxima(frameOf(problem, frame), sources, quick);
    const found = yield* sampled;
    return { ...found, ...thermalIndexIn(problem, drives[frame]!) };
  };
  const first = yield* sample(0);
  let maxima = first;
  let worst = { frame: 0, factor: factorOf(problem, maxima) };
  for (const frame of frames.slice(1)) {
    const found = yield* sample(frame);
    maxima = larger(maxima, found);
    const factor = factorOf(problem, found);
    if (factor < worst.factor) worst = { frame, factor };
  }
  return { maxima, first: first.anywhere, frame: worst.frame };
}

/** As it is asked at a later frame: what is loud lies around its own targets. */
function frameOf(problem: Problem, frame: number): Problem {
  const { motion, targets } = problem;
  return motion ? { ...problem, targets: targetsAt(motion, targets, frame) } : problem;
}

const factorOf = ({ safety, medium, frequency }: Problem, maxima: Maxima): number =>
  judge(safety, maxima, medium, frequency).factor;

/** Some of `count` numbers from 0 on, evenly spread, the first and the last among them. */
function spread(count: number, most: number): number[] {
  const n = Math.min(count, most);
  return Array.from({ length: n }, (_, i) => (n === 1 ? 0 : Math.round((i * (count - 1)) / (n - 1))));
}

function larger(a: Maxima, b: Maxima): Maxima {
  return {
    anywhere: Math.max(a.anywhere, b.anywhere),
    ...(a.thermalIndex !== undefined && { thermalIndex: Math.max(a.thermalIndex, b.thermalIndex ?? 0) }),
    zones: Object.fromEntries(
      Object.entries(b.zones).map(([name, value]) => [name, Math.max(value, a.zones[name] ?? 0)]),
    ),
  };
}
