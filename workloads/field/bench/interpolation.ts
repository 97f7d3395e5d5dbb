// Band-limited interpolation beside our own direct sum: points per second, files written, and the error against the scalar reference.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median, type Row, row } from '@quintet/runtime/bench';
import { readPlan } from '../src/job/output.ts';
import { plan } from '../src/job/plan.ts';
import { type Problem, resolve } from '../src/job/problem.ts';
import { openPool, readDrive } from '../src/job/shard.ts';
import { usableCores } from '../src/machine.ts';
import { pressureAt } from '../src/physics/reference.ts';
import { drivenSources } from '../src/physics/sources.ts';
import { chunkCount, coordinate, pointsOf } from '../src/volume/layout.ts';
import { levitator, noTables } from './direct-sum.ts';

export async function interpolation(quick: boolean): Promise<Row[]> {
  const job = levitator('0.5mm', '80mm');
  const direct = resolve(job, noTables);
  const interpolated: Problem = { ...direct, method: 'Interpolated' };
  const points = pointsOf(direct.volume);
  const threads = usableCores();
  const size = `T=512 N=${points} ${threads} threads`;
  const speeds: Record<'ours' | 'direct', number[]> = { ours: [], direct: [] };
  let error = 0;
  for (let n = 0; n < (quick ? 1 : 5); n++) {
    const fast = await computeOnce(interpolated, threads, quick ? 200 : 2000);
    speeds.ours.push(points / fast.seconds);
    error = Math.max(error, fast.error);
    speeds.direct.push(points / (await computeOnce(direct, threads, 0)).seconds);
  }
  const base = { bench: 'field', case: 'band-limited interpolation', size } as const;
  return [
    row(
      {
        ...base,
        metric: 'points',
        unit: '1/s',
        better: 'higher',
        ours: median(speeds.ours),
        peers: { 'own direct sum': median(speeds.direct) },
      },
      { ratio: 20 },
    ),
    row(
      { ...base, metric: 'error against the reference', unit: 'of largest', better: 'lower', ours: error, peers: {} },
      { absolute: 1e-3 },
    ),
  ];
}

async function computeOnce(
  problem: Problem,
  threads: number,
  checked: number,
): Promise<{ seconds: number; error: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'quintet-bench-'));
  try {
    plan(problem, folder);
    const pool = openPool(problem, folder, threads);
    const chunks = Array.from({ length: chunkCount(problem.volume) }, (_, i) => i);
    // Threads that have computed before, as those of direct-sum.ts: a large job computes for minutes.
    await pool.run(chunks);
    rmSync(join(folder, 'pressure/c'), { recursive: true });
    const start = performance.now();
    await pool.run(chunks);
    const seconds = (performance.now() - start) / 1000;
    await pool.close();
    return { seconds, error: checked > 0 ? errorOf(problem, folder, checked) : 0 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Over points spread without a pattern; over the largest pressure among them. */
function errorOf(problem: Problem, folder: string, count: number): number {
  const { volume } = problem;
  const sources = drivenSources(problem.emitters, readDrive(problem, folder, readPlan(folder)));
  const truth = new Float64Array(2);
  let worst = 0;
  let most = 0;
  for (let i = 1; i <= count; i++) {
    const [z, y, x] = [0.8191725133961645, 0.6710436067037893, 0.5497004779019703].map((step, axis) =>
      Math.floor(((i * step) % 1) * volume.shape[axis]!),
    ) as [number, number, number];
    const [nz, ny, nx] = volume.chunk;
    const indexes = [Math.floor(z / nz), Math.floor(y / ny), Math.floor(x / nx)];
    const bytes = readFileSync(join(folder, 'pressure/c', ...indexes.map(String)));
    const at = 8 * (((z % nz) * ny + (y % ny)) * nx + (x % nx));
    pressureAt(sources, coordinate(volume, 2, x), coordinate(volume, 1, y), coordinate(volume, 0, z), truth);
    worst = Math.max(worst, Math.hypot(bytes.readFloatLE(at) - truth[0]!, bytes.readFloatLE(at + 4) - truth[1]!));
    most = Math.max(most, Math.hypot(truth[0]!, truth[1]!));
  }
  return worst / most;
}
