// What sums a shard's points: processors, or a GPU where one is there, reckons rightly and costs less, as measured on this very problem.
import { FieldError } from '../errors.ts';
import { checkBlock, findGpu, GpuField } from '../kernel/gpu.ts';
import { checkedKernel } from '../kernel/selfcheck.ts';
import type { Sources } from '../physics/sources.ts';
import { type Block, chunkBlock, coordinate, pointsOf } from '../volume/layout.ts';
import type { PlanFile } from './output.ts';
import type { Problem } from './problem.ts';

export interface BackendChoice {
  readonly name: 'CPU' | 'Reference' | 'GPU';
  /** Why, where a GPU was asked for. */
  readonly reason?: string;
  /** Of a GPU; to be closed. */
  readonly gpu?: GpuField;
}

/** Points of the trial on a GPU, and of a row on a processor. */
const triedPoints = 2 ** 15;
const rowPoints = 256;
const tries = 3;

/** @throws FieldError `Unsupported` when a GPU is required and does not serve. */
export async function chooseBackend(
  problem: Problem,
  plan: PlanFile,
  sources: Sources,
  points: number,
  threads: number,
): Promise<BackendChoice> {
  if (problem.gpu === undefined) return { name: plan.backend };
  const tried = await tryGpu(problem, plan, sources);
  if (typeof tried === 'string') {
    if (problem.gpu === 'Required') throw new FieldError('Unsupported', tried, 'spec.backend');
    return { name: plan.backend, reason: tried };
  }
  const gpu = tried.secondsAPoint * points;
  const cpu = (cpuSecondsAPoint(problem, sources) * points) / threads;
  const measured = `${gpu.toPrecision(2)} s on ${tried.name} against ${cpu.toPrecision(2)} s on ${threads} threads, as measured`;
  if (problem.gpu === 'Required') return { name: 'GPU', reason: `required: ${measured}`, gpu: tried.field };
  if (gpu < cpu) return { name: 'GPU', reason: measured, gpu: tried.field };
  tried.field.close();
  return { name: plan.backend, reason: measured };
}

async function tryGpu(
  { volume, quantities }: Problem,
  plan: PlanFile,
  sources: Sources,
): Promise<{ name: string; field: GpuField; secondsAPoint: number } | string> {
  if (plan.method !== 'DirectSum') return `the GPU is not used: it sums directly, and the method is ${plan.method}`;
  if (quantities.some((each) => each !== 'Pressure')) return 'the GPU is not used: it sums the pressure alone';
  const gpu = await findGpu();
  if (typeof gpu === 'string') return gpu;
  try {
    const field = new GpuField(gpu, sources, volume);
    const block = trialBlock(chunkBlock(volume, 0));
    // The first time the shader is compiled.
    checkBlock(sources, volume, block, await field.block(block));
    const seconds = await fastest(async () => void (await field.block(block)));
    return { name: gpu.name, field, secondsAPoint: seconds / pointsOf(block) };
  } catch (error) {
    if (error instanceof FieldError) return error.message;
    throw error;
  }
}

/** The beginning of a block, of whole rows. */
function trialBlock({ start, shape }: Block): Block {
  const y = Math.min(shape[1], Math.max(1, Math.floor(triedPoints / shape[2])));
  const z = Math.min(shape[0], Math.max(1, Math.floor(triedPoints / shape[2] / y)));
  return { start, shape: [z, y, shape[2]] };
}

function cpuSecondsAPoint({ volume }: Problem, sources: Sources): number {
  const [z, y, x] = ([0, 1, 2] as const).map((axis) => coordinate(volume, axis, Math.floor(volume.shape[axis] / 2)));
  const kernel = checkedKernel(sources, [x!, y!, z!], rowPoints * volume.spacing);
  kernel.setRow(Float64Array.from({ length: rowPoints }, (_, i) => x! + (i - rowPoints / 2) * volume.spacing));
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n < tries; n++) {
    const start = performance.now();
    kernel.pressure(y!, z!);
    least = Math.min(least, performance.now() - start);
  }
  return least / 1000 / rowPoints;
}

async function fastest(run: () => Promise<void>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n < tries; n++) {
    const start = performance.now();
    await run();
    least = Math.min(least, performance.now() - start);
  }
  return least / 1000;
}
