import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pressureAt } from '../physics/reference.ts';
import { drivenSources } from '../physics/sources.ts';
import { coordinate } from '../volume/layout.ts';
import { finish } from './finish.ts';
import { readPlan } from './output.ts';
import { type Limits, plan } from './plan.ts';
import type { Problem } from './problem.ts';
import { readDrive, readMarker, shard } from './shard.ts';
import { begin } from './takeover.ts';
import { resultFiles, smallProblem, temporaryFolder } from './testing.ts';

const plenty: Limits = { memory: 2 ** 34, threads: 2 };

async function compute(problem: Problem, folder: string, threads = 2): Promise<void> {
  const { shards } = plan(problem, folder, plenty);
  for (let index = 0; index < shards; index++) await shard(problem, folder, index, { threads });
  await finish(problem, folder, { threads });
}

const wide = { center: ['0mm', '0mm', '60mm'], size: ['40mm', '40mm', '40mm'], spacing: '1mm' };
const sharded = (max: number, changes: Record<string, unknown> = {}) =>
  smallProblem({
    volume: wide,
    shards: { max },
    quantities: ['Pressure', 'GorkovPotential', 'Intensity', 'Velocity'],
    ...changes,
  });

describe('a FieldJob in three steps', { timeout: 120_000 }, () => {
  it('holds the field that the reference computes', async () => {
    const folder = temporaryFolder();
    const problem = smallProblem();
    await compute(problem, folder);
    const sources = drivenSources(problem.emitters, readDrive(problem, folder, readPlan(folder)));
    const [nz, ny, nx] = problem.volume.shape;
    const bytes = readFileSync(join(folder, 'pressure/c/0/0/0'));
    const truth = new Float64Array(2);
    let worst = 0;
    let most = 0;
    for (let i = 0; i < nz * ny * nx; i++) {
      const [x, y, z] = [i % nx, Math.floor(i / nx) % ny, Math.floor(i / nx / ny)];
      pressureAt(
        sources,
        coordinate(problem.volume, 2, x),
        coordinate(problem.volume, 1, y),
        coordinate(problem.volume, 0, z),
        truth,
      );
      worst = Math.max(
        worst,
        Math.hypot(bytes.readFloatLE(8 * i) - truth[0]!, bytes.readFloatLE(8 * i + 4) - truth[1]!),
      );
      most = Math.max(most, Math.hypot(truth[0]!, truth[1]!));
    }
    expect(worst / most).toBeLessThan(1e-4);
  });

  it('gives the same bytes however many shards and threads', async () => {
    const whole = temporaryFolder();
    await compute(sharded(1), whole, 1);
    const expected = resultFiles(whole);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: 64 }), fc.integer({ min: 1, max: 3 }), async (shards, threads) => {
        const folder = temporaryFolder();
        await compute(sharded(shards), folder, threads);
        expect(resultFiles(folder)).toEqual(expected);
      }),
      { numRuns: 4 },
    );
  });

  it('keeps nothing that other code has computed, nor notes of pods and shards of before', async () => {
    const folder = temporaryFolder();
    await compute(sharded(2), folder);
    begin(folder, 1);
    plan(sharded(3), folder, plenty);
    expect(existsSync(join(folder, 'pressure/c/0/0/0'))).toBe(true);
    for (const name of ['begun-0001', 'shard-0000', 'shard-0001']) {
      expect(existsSync(join(folder, `.quintet/${name}.json`))).toBe(false);
    }
    const before = readPlan(folder);
    writeFileSync(join(folder, '.quintet/plan.json'), JSON.stringify({ ...before, code: 'other' }));
    await expect(shard(sharded(3), folder, 0)).rejects.toMatchObject({ reason: 'PlanMissing', retry: true });
    plan(sharded(3), folder, plenty);
    expect(existsSync(join(folder, 'pressure/c/0/0/0'))).toBe(false);
    expect(readPlan(folder)).toEqual(before);
  });

  it('takes no marker of other code for one of its own', async () => {
    const folder = temporaryFolder();
    await compute(sharded(1), folder);
    const path = join(folder, '.quintet/shard-0000.json');
    const marker = JSON.parse(readFileSync(path, 'utf8')) as object;
    expect(readMarker(folder, readPlan(folder), 0)).toEqual(marker);
    writeFileSync(path, JSON.stringify({ ...marker, code: 'other' }));
    expect(readMarker(folder, readPlan(folder), 0)).toBeUndefined();
  });

  it('computes nothing again that is whole, and everything that is not', async () => {
    const folder = temporaryFolder();
    const problem = sharded(2);
    await compute(problem, folder);
    const expected = resultFiles(folder);
    truncateSync(join(folder, 'pressure/c/0/0/0'), 100);
    writeFileSync(
      join(folder, 'gorkov_potential/c/1/0/0'),
      Buffer.alloc(readFileSync(join(folder, 'gorkov_potential/c/1/0/0')).length),
    );
    rmSync(join(folder, 'velocity/c/2/0/0'), { recursive: true });
    const done: number[] = [];
    plan(problem, folder, plenty);
    await shard(problem, folder, 0, { onProgress: ({ pointsPerSecond }) => done.push(pointsPerSecond) });
    await shard(problem, folder, 1);
    await finish(problem, folder);
    expect(resultFiles(folder)).toEqual(expected);
    await shard(problem, folder, 0, { onProgress: ({ pointsPerSecond }) => done.push(pointsPerSecond) });
    expect(done.at(-1)).toBe(0);
  });

  it('mends in its last step what was damaged or never computed', async () => {
    const folder = temporaryFolder();
    const problem = sharded(3);
    await compute(problem, folder);
    const expected = resultFiles(folder);
    const damaged = join(folder, 'pressure/c/0/0/0');
    const bytes = readFileSync(damaged);
    bytes[1000]! ^= 1;
    writeFileSync(damaged, bytes);
    rmSync(join(folder, '.quintet/shard-0002.json'));
    await finish(problem, folder);
    expect(resultFiles(folder)).toEqual(expected);
  });

  it('has a summary only when the result is whole', async () => {
    const folder = temporaryFolder();
    const problem = sharded(2);
    plan(problem, folder, plenty);
    await shard(problem, folder, 0);
    expect(existsSync(join(folder, 'summary.json'))).toBe(false);
    await shard(problem, folder, 1);
    await finish(problem, folder);
    expect(existsSync(join(folder, 'summary.json'))).toBe(true);
    plan(problem, folder, plenty);
    expect(existsSync(join(folder, 'summary.json'))).toBe(false);
  });

  it('clears away the result of another spec, and lets no shard of one spec work on the plan of another', async () => {
    const folder = temporaryFolder();
    const before = sharded(2);
    await compute(before, folder);
    const other = sharded(2, { targets: [{ name: 'focus', position: ['5mm', '0mm', '60mm'] }] });
    plan(other, folder, plenty);
    expect(existsSync(join(folder, 'pressure/c'))).toBe(false);
    await expect(shard(before, folder, 0)).rejects.toMatchObject({ reason: 'OutputIncomplete', retry: true });
    await compute(other, folder);
    const fresh = temporaryFolder();
    await compute(other, fresh);
    expect(resultFiles(folder)).toEqual(resultFiles(fresh));
  });

  it('leaves alone a folder that holds what it did not write', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'summary.json'), 'mine');
    expect(() => plan(smallProblem(), folder, plenty)).toThrow(/no FieldJob wrote/);
    expect(readFileSync(join(folder, 'summary.json'), 'utf8')).toBe('mine');
  });

  it('says what memory it needs where there is less', () => {
    expect(() => plan(smallProblem(), temporaryFolder(), { memory: 32 * 2 ** 20, threads: 2 })).toThrow(
      expect.objectContaining({
        reason: 'VolumeTooLarge',
        field: 'spec.volume',
        message: expect.stringMatching(/needs .* MiB .* limit is 32 MiB/),
      }),
    );
  });
});

describe('safety', () => {
  it('says what it was judged by where the model does not hold', () => {
    const spec = { volume: { center: ['0mm', '0mm', '-40mm'], size: ['4mm', '4mm', '4mm'], spacing: '1mm' } };
    const { safety } = plan(smallProblem({ ...spec, safety: { maxPressure: '100kPa' } }), temporaryFolder(), plenty);
    expect(safety.message).toMatch(/^judged where the model does not hold: the volume lies behind the array/);
    expect(plan(smallProblem(), temporaryFolder(), plenty).safety.message).toBeUndefined();
  });

  it('refuses before anything is computed', () => {
    const folder = temporaryFolder();
    const problem = smallProblem({ safety: { maxPressure: '100Pa' } });
    expect(() => plan(problem, folder, plenty)).toThrow(
      expect.objectContaining({ reason: 'SafetyLimitExceeded', retry: false }),
    );
    expect(existsSync(join(folder, '.quintet/plan.json'))).toBe(false);
  });

  it('turns the drive down when asked to, so that the computed field keeps the limit', async () => {
    const folder = temporaryFolder();
    const problem = smallProblem({ safety: { maxPressure: '100Pa', action: 'Clamp' } });
    const { safety } = plan(problem, folder, plenty);
    expect(safety.verdict).toBe('Clamped');
    await shard(problem, folder, 0);
    const result = await finish(problem, folder);
    expect(result.safety.verdict).toBe('Clamped');
    const summary = JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8')) as {
      maxPressure: { pascals: number };
    };
    expect(summary.maxPressure.pascals).toBeLessThanOrEqual(100);
    expect(summary.maxPressure.pascals).toBeGreaterThan(90);
  });

  it('holds the thermal index, which follows from the drive alone', async () => {
    const limited = (action: string) => smallProblem({ safety: { maxThermalIndex: '0.1', action } });
    expect(() => plan(limited('Refuse'), temporaryFolder(), plenty)).toThrow(
      expect.objectContaining({
        field: 'spec.safety.maxThermalIndex',
        message: expect.stringMatching(/thermal index would reach 0\.\d+, over the limit of 0\.100/),
      }),
    );
    const folder = temporaryFolder();
    expect(plan(limited('Clamp'), folder, plenty).safety.verdict).toBe('Clamped');
    await shard(limited('Clamp'), folder, 0);
    expect((await finish(limited('Clamp'), folder)).safety).toMatchObject({ verdict: 'Clamped', margin: '0.01%' });
    const loose = smallProblem({ safety: { maxThermalIndex: '6' } });
    expect(plan(loose, temporaryFolder(), plenty).safety).toMatchObject({
      verdict: 'Safe',
      margin: expect.stringMatching(/^\d+(\.\d+)?%$/),
    });
  });

  it('watches zones, in the volume and out of it', () => {
    const zone = (z: string, maxPressure: string) => ({
      zones: [{ name: 'hand', center: ['0mm', '0mm', z], radius: '5mm', maxPressure }],
    });
    expect(plan(smallProblem({ safety: zone('200mm', '1kPa') }), temporaryFolder(), plenty).safety.verdict).toBe(
      'Safe',
    );
    expect(() => plan(smallProblem({ safety: zone('200mm', '10Pa') }), temporaryFolder(), plenty)).toThrow(/zone hand/);
    expect(() => plan(smallProblem({ safety: zone('40mm', '1kPa') }), temporaryFolder(), plenty)).toThrow(/zone hand/);
  });
});
