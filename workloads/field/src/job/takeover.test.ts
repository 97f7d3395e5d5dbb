import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { finish } from './finish.ts';
import { readPlan } from './output.ts';
import { plan } from './plan.ts';
import type { Problem } from './problem.ts';
import { type Progress, readMarker, shard } from './shard.ts';
import { begin, leave, takeOver } from './takeover.ts';
import { resultFiles, smallProblem, temporaryFolder } from './testing.ts';

const limits = { memory: 2 ** 34, threads: 2 };
const problemOf = (method: string, changes: Record<string, unknown> = {}): Problem =>
  smallProblem({
    volume: { center: ['0mm', '0mm', '60mm'], size: ['40mm', '40mm', '40mm'], spacing: '1mm' },
    method,
    shards: { max: 3 },
    ...changes,
  });
const problem = problemOf('DirectSum');

async function undisturbed(of = problem): Promise<Map<string, string>> {
  const folder = temporaryFolder();
  plan(of, folder, limits);
  for (let index = 0; index < 3; index++) await shard(of, folder, index, { threads: 1 });
  await finish(of, folder);
  return resultFiles(folder);
}

const isDone = (folder: string, index: number) => existsSync(join(folder, `.quintet/shard-000${index}.json`));

describe('a pod that has computed its shard', { timeout: 60_000 }, () => {
  it('brings those of slow or dead pods to their end, which then find nothing left to compute', async () => {
    const folder = temporaryFolder();
    plan(problem, folder, limits);
    for (const index of [0, 1, 2]) begin(folder, index);
    await shard(problem, folder, 1, { threads: 1 });
    expect(new Set(await takeOver(problem, folder, 1, { threads: 2 }))).toEqual(new Set([0, 2]));
    expect(readMarker(folder, readPlan(folder), 1)?.computed).toBe(41 ** 3);
    const speeds: number[] = [];
    const onProgress = ({ pointsPerSecond }: Progress) => speeds.push(pointsPerSecond);
    for (const index of [0, 2]) await shard(problem, folder, index, { threads: 1, onProgress });
    expect(new Set(speeds)).toEqual(new Set([0]));
    await finish(problem, folder);
    expect(resultFiles(folder)).toEqual(await undisturbed());
  });

  it.each(['Interpolated', 'AngularSpectrum'])('computes the same chunks by method %s', async (method) => {
    const high = problemOf(method, {
      array: { grid: { rows: 4, columns: 4 }, transducer: { directivity: 'Omnidirectional' } },
      volume: { center: ['0mm', '0mm', '90mm'], size: ['20mm', '14mm', '40mm'], spacing: '0.6mm' },
      tolerance: '0.004',
    });
    const folder = temporaryFolder();
    plan(high, folder, limits);
    for (const index of [0, 1, 2]) begin(folder, index);
    await shard(high, folder, 1, { threads: 1 });
    expect(new Set(await takeOver(high, folder, 1, { threads: 2 }))).toEqual(new Set([0, 2]));
    for (const index of [0, 2]) await shard(high, folder, index, { threads: 1 });
    await finish(high, folder);
    expect(resultFiles(folder)).toEqual(await undisturbed(high));
  });

  it('tells what ends its help, whatever that is, and its own shard stays done', async () => {
    const folder = temporaryFolder();
    plan(problem, folder, limits);
    for (const index of [0, 1, 2]) begin(folder, index);
    await shard(problem, folder, 1, { threads: 1 });
    const failures: unknown[] = [];
    const tooMany = { threads: Number.POSITIVE_INFINITY, onFailure: (error: unknown) => failures.push(error) };
    expect(await takeOver(problem, folder, 1, tooMany)).toEqual([]);
    expect(failures).toEqual([expect.any(RangeError)]);
    expect(isDone(folder, 1)).toBe(true);
  });

  it('leaves shards alone that a GPU may sum, whose bits are others', async () => {
    const folder = temporaryFolder();
    plan(problem, folder, limits);
    for (const index of [0, 1, 2]) begin(folder, index);
    await shard(problem, folder, 1, { threads: 1 });
    expect(await takeOver({ ...problem, gpu: 'Auto' }, folder, 1)).toEqual([]);
  });

  it('counts the time of its help, and none that lay before it', async () => {
    const folder = temporaryFolder();
    plan(problem, folder, limits);
    for (const index of [0, 1, 2]) begin(folder, index);
    await shard(problem, folder, 1, { threads: 1 });
    const path = join(folder, '.quintet/shard-0001.json');
    const marker = JSON.parse(readFileSync(path, 'utf8')) as { startedAt: number; seconds: number };
    writeFileSync(path, JSON.stringify({ ...marker, startedAt: marker.startedAt - 3_600_000 }));
    await takeOver(problem, folder, 1, { threads: 1 });
    const { seconds } = readMarker(folder, readPlan(folder), 1)!;
    expect(seconds).toBeGreaterThan(marker.seconds);
    expect(seconds).toBeLessThan(marker.seconds + 1800);
  });

  it('makes room where a shard still waits for its pod', async () => {
    const folder = temporaryFolder();
    plan(problem, folder, limits);
    for (const index of [0, 1]) begin(folder, index);
    await shard(problem, folder, 1, { threads: 1 });
    expect(await takeOver(problem, folder, 1)).toEqual([]);
    expect(isDone(folder, 0)).toBe(false);
    begin(folder, 2);
    leave(folder, 0);
    expect(await takeOver(problem, folder, 1)).toEqual([]);
  });

  it('takes no word of an earlier plan for that of a pod', async () => {
    const folder = temporaryFolder();
    plan(problem, folder, limits);
    for (const index of [0, 1, 2]) begin(folder, index);
    const other = {
      ...problem,
      tolerance: problem.tolerance / 2,
      targets: [{ ...problem.targets[0]!, weight: 2, pressure: 100 }],
    };
    plan(other, folder, limits);
    begin(folder, 1);
    await shard(other, folder, 1, { threads: 1 });
    expect(await takeOver(other, folder, 1)).toEqual([]);
  });

  it('works beside the pods that it helps, and the bits are the same', async () => {
    const folder = temporaryFolder();
    plan(problem, folder, limits);
    for (const index of [0, 1, 2]) begin(folder, index);
    await shard(problem, folder, 2, { threads: 1 });
    await Promise.all([
      shard(problem, folder, 0, { threads: 1 }),
      shard(problem, folder, 1, { threads: 1 }),
      takeOver(problem, folder, 2, { threads: 1 }),
    ]);
    for (const index of [0, 1, 2]) expect(isDone(folder, index)).toBe(true);
    await finish(problem, folder);
    expect(resultFiles(folder)).toEqual(await undisturbed());
  });
});
