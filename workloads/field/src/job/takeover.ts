// A pod that has computed its shard works on those of slower pods, from their far ends, once no shard waits for a pod any more. Chunks are
// whole or not there and the same whoever computes them, so that nothing need be agreed on: the slow pod finds them when it gets there.
import { writeWhole } from '../compute/files.ts';
import type { ChunkPool } from '../compute/pool.ts';
import { usableCores } from '../machine.ts';
import { shardChunks } from '../volume/layout.ts';
import {
  type BegunFile,
  begunPath,
  entries,
  type PlanFile,
  readJson,
  readPlan,
  remove,
  shardPath,
  toJson,
} from './output.ts';
import type { Problem } from './problem.ts';
import { openPool, readMarker } from './shard.ts';

/** Methods whose chunks are computed each by itself. */
const chunkwise: readonly string[] = ['DirectSum', 'Interpolated', 'AngularSpectrum'];

/** To be said before a shard is computed. @throws FieldError when there is no plan, or the output fails. */
export function begin(folder: string, shard: number): void {
  const begun: BegunFile = { digest: readPlan(folder).digest, shard };
  writeWhole(folder, begunPath(shard), toJson(begun));
}

/** To be said where its pod ends before it is done: it waits for another one. */
export function leave(folder: string, shard: number): void {
  remove(folder, begunPath(shard));
}

export interface TakeOverOptions {
  readonly threads?: number;
  /** Is told what ended the help, which the helper's own shard does not suffer from. */
  readonly onFailure?: (error: unknown) => void;
}

/**
 * Ends when the chunks of all shards are there, or a shard has not begun: its pod needs the room of this one.
 * @returns shards whose chunks are all there now. A failure is theirs to tell whose shards they are.
 */
export async function takeOver(
  problem: Problem,
  folder: string,
  own: number,
  { threads = usableCores(), onFailure }: TakeOverOptions = {},
): Promise<number[]> {
  const whole: number[] = [];
  try {
    await help(problem, folder, own, threads, whole);
  } catch (error) {
    onFailure?.(error);
  }
  return whole;
}

/** @param whole Is filled with shards whose chunks are all there. */
async function help(problem: Problem, folder: string, own: number, threads: number, whole: number[]): Promise<void> {
  const plan = readPlan(folder);
  const marker = readMarker(folder, plan, own);
  // What a GPU sums has other bits, and other pods may have found one where this has not.
  if (!marker || problem.gpu !== undefined || !chunkwise.includes(plan.method)) return;
  const next = (): number | undefined => slowShard(folder, plan, own, whole);
  const start = performance.now();
  let computed = 0;
  let pool: ChunkPool | undefined;
  try {
    for (let slow = next(); slow !== undefined; slow = next()) {
      pool ??= openPool(problem, folder, threads);
      computed += await completeFromTheEnd(problem, plan, folder, slow, pool, 2 * threads);
      whole.push(slow);
    }
  } finally {
    await pool?.close();
    if (computed > 0) {
      // What was computed here counts here, for the speed of all. A pod that was started again had paused before.
      const seconds = marker.seconds + (performance.now() - start) / 1000;
      writeWhole(folder, shardPath(own), toJson({ ...marker, computed: marker.computed + computed, seconds }));
    }
  }
}

/** One that has begun and is not done, when there is none that has not begun; several helpers choose different ones. */
function slowShard(folder: string, plan: PlanFile, own: number, whole: readonly number[]): number | undefined {
  const names = new Set(entries(folder, '.quintet'));
  const slow: number[] = [];
  for (let shard = 0; shard < plan.shards; shard++) {
    if (shard === own || whole.includes(shard) || names.has(shardPath(shard).slice('.quintet/'.length))) continue;
    const begun = readJson<BegunFile>(folder, begunPath(shard));
    if (begun?.digest !== plan.digest) return undefined;
    slow.push(shard);
  }
  return slow[own % slow.length];
}

/**
 * Leaves off where the shard's own pod says that it is done. The marker is that pod's to write, who finds what lies here.
 * @returns points that were computed.
 */
async function completeFromTheEnd(
  problem: Problem,
  plan: PlanFile,
  folder: string,
  shard: number,
  pool: ChunkPool,
  atOnce: number,
): Promise<number> {
  let computed = 0;
  const { from, to } = shardChunks(problem.volume, shard, plan.shards);
  for (let end = to; end > from && !readMarker(folder, plan, shard); end -= atOnce) {
    const start = Math.max(from, end - atOnce);
    const some = Array.from({ length: end - start }, (_, i) => start + i);
    const found = await pool.run(some);
    const made = found.filter((result) => result.computed);
    await pool.sync(made.map(({ chunk }) => chunk));
    computed += made.reduce((sum, { points }) => sum + points, 0);
  }
  return computed;
}
