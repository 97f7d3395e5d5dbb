import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { finish } from '../job/finish.ts';
import { readPlan } from '../job/output.ts';
import { plan } from '../job/plan.ts';
import type { Problem } from '../job/problem.ts';
import { readDrive, shard } from '../job/shard.ts';
import { resultFiles, smallProblem, temporaryFolder } from '../job/testing.ts';
import { gradientAt } from '../physics/reference.ts';
import { drivenSources } from '../physics/sources.ts';
import { coordinate, layOut } from '../volume/layout.ts';
import { designLattice, interpolationWeights, planeWaveError, stencilOf } from './design.ts';

const limits = { memory: 2 ** 34, threads: 2 };
const fine = { center: ['0mm', '0mm', '35mm'], size: ['30mm', '24mm', '60mm'], spacing: '0.6mm' };
const interpolated = (changes: Record<string, unknown> = {}) =>
  smallProblem({
    method: 'Interpolated',
    array: { grid: { rows: 8, columns: 8 } },
    volume: fine,
    shards: { max: 1 },
    ...changes,
  });

async function compute(problem: Problem, folder: string): Promise<void> {
  const { shards } = plan(problem, folder, limits);
  for (let index = 0; index < shards; index++) await shard(problem, folder, index, { threads: 2 });
  await finish(problem, folder, { threads: 2 });
}

describe('interpolation weights', () => {
  it('give a wave of the band back within the error that is told', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: -1, max: 1, noNaN: true }),
        (part, frequency) => {
          const band = 0.25;
          const weights = interpolationWeights(band, 10)(part);
          const turn = 2 * Math.PI * band * frequency;
          let re = 0;
          let im = 0;
          weights.forEach((weight, k) => {
            re += weight * Math.cos(turn * (k - 4));
            im += weight * Math.sin(turn * (k - 4));
          });
          expect(Math.hypot(re - Math.cos(turn * part), im - Math.sin(turn * part))).toBeLessThan(
            1.1 * planeWaveError(band, 10),
          );
        },
      ),
    );
    expect(planeWaveError(0.25, 10)).toBeLessThan(2e-4);
  });

  it('read inside the lattice for every point', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 150 }),
        fc.double({ min: 0.3e-3, max: 1.5e-3, noNaN: true }),
        (n, spacing) => {
          const volume = layOut([0, 0, 0.1], [n * spacing, 20 * spacing, 0], spacing);
          const lattice = designLattice(volume, 8.65e-3, 1e6, 1e-3);
          if (!lattice) return;
          for (const axis of [0, 1, 2] as const) {
            const { starts, taps } = stencilOf(volume, lattice, 8.65e-3, axis, 0, volume.shape[axis]);
            expect(Math.max(...starts) + taps).toBeLessThanOrEqual(lattice.shape[axis]);
          }
        },
      ),
    );
  });
});

describe('an interpolated volume', { timeout: 120_000 }, () => {
  it.each([
    { quantities: ['Pressure'], tolerance: '0.001' },
    { quantities: ['Pressure', 'Velocity'], tolerance: '0.001' },
    { quantities: ['Pressure'], tolerance: '0.0002' },
  ])('holds $quantities within $tolerance of the largest', async ({ quantities, tolerance }) => {
    const folder = temporaryFolder();
    const problem = interpolated({ quantities, tolerance });
    await compute(problem, folder);
    expect(readPlan(folder).method).toBe('Interpolated');
    const { pressure, velocity } = errorsOf(problem, folder, quantities.includes('Velocity'));
    expect(pressure).toBeLessThan(Number(tolerance));
    expect(velocity).toBeLessThan(3 * Number(tolerance));
  });

  it('has the same bytes however many shards', async () => {
    const whole = temporaryFolder();
    const changes = { quantities: ['Pressure', 'GorkovPotential'] };
    await compute(interpolated({ ...changes, shards: { max: 1 } }), whole);
    for (const max of [5]) {
      const folder = temporaryFolder();
      await compute(interpolated({ ...changes, shards: { max } }), folder);
      expect(resultFiles(folder)).toEqual(resultFiles(whole));
    }
  });

  it('is not interpolated where no lattice is cheaper or keeps the tolerance', () => {
    const folder = temporaryFolder();
    plan(smallProblem(), folder, limits);
    expect(readPlan(folder).method).toBe('DirectSum');
    expect(() => plan(smallProblem({ method: 'Interpolated' }), temporaryFolder(), limits)).toThrow(
      /spec.method|direct sum/,
    );
  });
});

/** Over every seventh point, chunks near the array among them. */
function errorsOf(problem: Problem, folder: string, vectors: boolean): { pressure: number; velocity: number } {
  const { volume, medium, frequency } = problem;
  const sources = drivenSources(problem.emitters, readDrive(problem, folder, readPlan(folder)));
  const omegaRho = 2 * Math.PI * frequency * medium.density;
  const truth = new Float64Array(8);
  const [nz, ny, nx] = volume.chunk;
  const worst = { pressure: 0, velocity: 0 };
  const most = { pressure: 0, velocity: 0 };
  const chunks = new Map<string, Buffer>();
  const read = (path: string): Buffer => {
    const known = chunks.get(path) ?? readFileSync(join(folder, path));
    chunks.set(path, known);
    return known;
  };
  for (let i = 0; i < volume.shape[0] * volume.shape[1] * volume.shape[2]; i += 7) {
    const [z, y, x] = [
      Math.floor(i / volume.shape[2] / volume.shape[1]),
      Math.floor(i / volume.shape[2]) % volume.shape[1],
      i % volume.shape[2],
    ] as const;
    const chunk = [Math.floor(z / nz), Math.floor(y / ny), Math.floor(x / nx)].join('/');
    const place = ((z % nz) * ny + (y % ny)) * nx + (x % nx);
    gradientAt(sources, coordinate(volume, 2, x), coordinate(volume, 1, y), coordinate(volume, 0, z), truth);
    const bytes = read(`pressure/c/${chunk}`);
    const off = Math.hypot(bytes.readFloatLE(8 * place) - truth[0]!, bytes.readFloatLE(8 * place + 4) - truth[1]!);
    worst.pressure = Math.max(worst.pressure, off);
    most.pressure = Math.max(most.pressure, Math.hypot(truth[0]!, truth[1]!));
    if (!vectors) continue;
    const velocity = read(`velocity/c/${chunk}/0`);
    for (let axis = 0; axis < 3; axis++) {
      const re = truth[3 + 2 * axis]! / omegaRho;
      const im = -truth[2 + 2 * axis]! / omegaRho;
      const at = 24 * place + 8 * axis;
      worst.velocity = Math.max(
        worst.velocity,
        Math.hypot(velocity.readFloatLE(at) - re, velocity.readFloatLE(at + 4) - im),
      );
      most.velocity = Math.max(most.velocity, Math.hypot(re, im));
    }
  }
  return { pressure: worst.pressure / most.pressure, velocity: vectors ? worst.velocity / most.velocity : 0 };
}

describe('force and stiffness', () => {
  it('come out of an interpolated volume as they do of a direct sum', { timeout: 60_000 }, async () => {
    const files = { force: 'force/c/0/0/0/0', stiffness: 'stiffness/c/0/0/0/0' };
    const quantities = ['Force', 'Stiffness'];
    const box = { center: ['0mm', '0mm', '40mm'], size: ['12mm', '9mm', '9mm'], spacing: '0.6mm' };
    const folders = { Interpolated: temporaryFolder(), DirectSum: temporaryFolder() };
    for (const [method, folder] of Object.entries(folders)) {
      await compute(
        interpolated({ method, quantities, volume: box, array: { grid: { rows: 4, columns: 4 } } }),
        folder,
      );
      expect(readPlan(folder).method).toBe(method);
    }
    for (const file of Object.values(files)) {
      const read = (folder: string): Float32Array => {
        const bytes = readFileSync(join(folder, file));
        return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length - 4));
      };
      const direct = read(folders.DirectSum);
      const fast = read(folders.Interpolated);
      const most = direct.reduce((largest, each) => Math.max(largest, Math.abs(each)), 0);
      const worst = direct.reduce((largest, each, i) => Math.max(largest, Math.abs(each - fast[i]!)), 0);
      expect(most).toBeGreaterThan(0);
      expect(worst / most).toBeLessThan(3e-3);
    }
  });
});
