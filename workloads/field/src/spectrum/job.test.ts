import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { finish } from '../job/finish.ts';
import { readPlan } from '../job/output.ts';
import { plan } from '../job/plan.ts';
import type { Problem } from '../job/problem.ts';
import { shard } from '../job/shard.ts';
import { resultFiles, smallProblem, temporaryFolder } from '../job/testing.ts';

const limits = { memory: 2 ** 34, threads: 1 };
const omnidirectional = { directivity: 'Omnidirectional' };
const grid = { type: 'Grid', grid: { rows: 4, columns: 4 }, transducer: omnidirectional };
const facing = {
  type: 'TwoSided',
  twoSided: { rows: 3, columns: 3, pitch: '10.5mm', separation: '110mm' },
  transducer: omnidirectional,
};
const box = { center: ['0mm', '0mm', '60mm'], size: ['20mm', '14mm', '12mm'], spacing: '1mm' };
const problemOf = (method: string, changes: Record<string, unknown> = {}) =>
  smallProblem({ method, array: grid, volume: box, shards: { max: 1 }, tolerance: '0.004', ...changes });

async function compute(problem: Problem): Promise<string> {
  const folder = temporaryFolder();
  const { shards } = plan(problem, folder, limits);
  for (let index = 0; index < shards; index++) await shard(problem, folder, index, { threads: 1 });
  await finish(problem, folder, { threads: 1 });
  return folder;
}

/** Largest difference over the largest number of all. */
function difference(a: string, b: string, file: string): number {
  const [one, other] = [a, b].map((folder) => {
    const bytes = readFileSync(join(folder, file));
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length - 4));
  }) as [Float32Array, Float32Array];
  const most = one.reduce((largest, each) => Math.max(largest, Math.abs(each)), 0);
  return one.reduce((worst, each, i) => Math.max(worst, Math.abs(each - other[i]!)), 0) / most;
}

describe('a volume by the angular spectrum', { timeout: 60_000 }, () => {
  it.each([
    { title: 'a grid', changes: {} },
    {
      title: 'a grid over a floor',
      changes: { medium: { reflectors: [{ name: 'floor', plane: 'XY', at: '-5mm', coefficient: '0.8' }] } },
    },
    {
      title: 'two arrays that face each other',
      changes: {
        array: facing,
        volume: { ...box, center: ['0mm', '0mm', '55mm'] },
        targets: [{ name: 'tip', position: ['0mm', '0mm', '55mm'] }],
      },
    },
  ])('is within the tolerance of the direct sum for $title', async ({ changes }) => {
    const quantities = ['Pressure', 'Velocity'];
    const fast = await compute(problemOf('AngularSpectrum', { quantities, ...changes }));
    const direct = await compute(problemOf('DirectSum', { quantities, ...changes }));
    expect(readPlan(fast).method).toBe('AngularSpectrum');
    expect(difference(direct, fast, 'pressure/c/0/0/0')).toBeLessThan(4e-3);
    expect(difference(direct, fast, 'velocity/c/0/0/0/0')).toBeLessThan(8e-3);
    const summary = JSON.parse(readFileSync(join(fast, 'summary.json'), 'utf8')) as Record<string, unknown>;
    expect(summary).toMatchObject({
      method: { name: 'AngularSpectrum', reason: 'asked for' },
      interpolation: { error: expect.any(Number), planes: expect.any(Array) },
    });
  });

  it('has the same bytes however many shards', async () => {
    const large = {
      volume: { ...box, size: ['20mm', '14mm', '20mm'], spacing: '0.6mm' },
    };
    const whole = await compute(problemOf('AngularSpectrum', large));
    const cut = await compute(problemOf('AngularSpectrum', { ...large, shards: { max: 2 } }));
    expect(readPlan(cut).shards).toBeGreaterThan(1);
    expect(resultFiles(cut)).toEqual(resultFiles(whole));
  });

  it('is refused with the error that it would have, or with what stands in the way', () => {
    const refused =
      (changes: Record<string, unknown>): (() => unknown) =>
      () =>
        plan(problemOf('AngularSpectrum', changes), temporaryFolder(), limits);
    expect(refused({ array: { ...grid, transducer: { directivity: 'Piston' } } })).toThrow(
      expect.objectContaining({
        reason: 'Unsupported',
        field: 'spec.method',
        message: expect.stringMatching(/error would be 0\.\d+ of the largest pressure/),
      }),
    );
    expect(refused({ volume: { ...box, center: ['0mm', '0mm', '25mm'] } })).toThrow(/beside the volume, or within/);
    expect(refused({ volume: { ...box, spacing: '4mm' } })).toThrow(/as far apart as those of a lattice/);
  });

  it('is left where its transforms cost more, and the plan says so', () => {
    const folder = temporaryFolder();
    plan(problemOf('Auto', { volume: { ...box, spacing: '2mm' } }), folder, limits);
    expect(readPlan(folder)).toMatchObject({
      method: 'DirectSum',
      methodReason: 'no other way is cheaper; no angular spectrum: its transforms would cost more',
    });
  });
});
