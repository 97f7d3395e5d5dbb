import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { check } from '../job/check.ts';
import { finish } from '../job/finish.ts';
import { plan } from '../job/plan.ts';
import { type Problem, resolve } from '../job/problem.ts';
import { shard } from '../job/shard.ts';
import { resultFiles, smallJob, smallProblem, temporaryFolder } from '../job/testing.ts';
import { simulationMemory, type Timed } from '../job/timedomain.ts';

const limits = { memory: 2 ** 34, threads: 1 };
// As small as it can be: 32³ points, with a layer that sends some of it back.
const volume = { center: ['0mm', '0mm', '12mm'], size: ['6mm', '6mm', '6mm'], spacing: '1.5mm' };
const timeDomain = { cycles: 8, cfl: '0.8', absorbingLayer: 4 };
const base = {
  array: { grid: { rows: 1, columns: 1 }, transducer: { radius: '1.5mm', directivity: 'Omnidirectional' } },
  targets: [{ name: 'tip', position: ['0mm', '0mm', '12mm'] }],
  volume,
};
const timed = (settings: Record<string, unknown> = {}, changes: Record<string, unknown> = {}): Problem =>
  smallProblem({ ...base, method: 'TimeDomain', timeDomain: { ...timeDomain, ...settings }, ...changes });

async function compute(problem: Problem, folder = temporaryFolder()): Promise<string> {
  const { shards } = plan(problem, folder, limits);
  for (let index = 0; index < shards; index++) await shard(problem, folder, index, { threads: 1 });
  await finish(problem, folder, { threads: 1 });
  return folder;
}

function floatsOf(folder: string, path: string): Float32Array {
  const bytes = readFileSync(join(folder, path));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length - 4));
}

/** Largest difference over the largest number of all. */
function difference(one: Float32Array, other: Float32Array): number {
  const most = one.reduce((largest, each) => Math.max(largest, Math.abs(each)), 0);
  return one.reduce((worst, each, i) => Math.max(worst, Math.abs(each - other[i]!)), 0) / most;
}

const pressure = 'pressure/c/0/0/0';
const summaryOf = (folder: string) =>
  JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8')) as {
    simulation: { shape: number[]; steps: number; timeStep: number; unsettled?: number };
    throughput: { method: string };
    warnings: string[];
  };

describe('a job in time', { timeout: 120_000 }, () => {
  const quantities = ['Pressure', 'Velocity'];
  const sensors = [{ name: 'axis', position: ['0mm', '0mm', '12mm'] }];
  const settings = { record: ['Maximum', 'RMS'], sensors };
  let steady: string;
  beforeAll(async () => {
    steady = await compute(timed(settings, { quantities }), mkdtempSync(join(tmpdir(), 'quintet-field-')));
  }, 120_000);
  afterAll(() => rmSync(steady, { recursive: true, force: true }));

  it('gives the field of the direct sum in a homogeneous medium, with velocity, extremes and the samples of sensors', async () => {
    const direct = await compute(smallProblem({ ...base, method: 'DirectSum', quantities }));
    const amplitude = floatsOf(steady, pressure);
    expect(difference(floatsOf(direct, pressure), amplitude)).toBeLessThan(0.05);
    expect(difference(floatsOf(direct, 'velocity/c/0/0/0/0'), floatsOf(steady, 'velocity/c/0/0/0/0'))).toBeLessThan(
      0.08,
    );

    const magnitudes = Float32Array.from({ length: amplitude.length / 2 }, (_, i) =>
      Math.hypot(amplitude[2 * i]!, amplitude[2 * i + 1]!),
    );
    const effective = floatsOf(steady, 'pressure_rms/c/0/0/0');
    expect(
      difference(
        magnitudes,
        effective.map((each) => each * Math.SQRT2),
      ),
    ).toBeLessThan(0.02);
    // A few samples a period miss the crest by a little.
    const largest = floatsOf(steady, 'pressure_maximum/c/0/0/0');
    largest.forEach((each, i) => {
      expect(each / magnitudes[i]!).toBeGreaterThan(0.85);
      expect(each / magnitudes[i]!).toBeLessThan(1.03);
    });

    const { simulation, throughput } = summaryOf(steady);
    expect(throughput.method).toBe('TimeDomain');
    const samples = floatsOf(steady, 'sensors/c/0/0');
    expect(samples).toHaveLength(simulation.steps);
    const middle = magnitudes[(2 * 5 + 2) * 5 + 2]!;
    const last = samples.slice(-Math.round(1 / (40e3 * simulation.timeStep)));
    const rms = Math.sqrt(last.reduce((sum, each) => sum + each * each, 0) / last.length);
    expect((rms * Math.SQRT2) / middle).toBeCloseTo(1, 1);
    const metadata = JSON.parse(readFileSync(join(steady, 'sensors/zarr.json'), 'utf8')) as Record<string, unknown>;
    expect(metadata).toMatchObject({ shape: [1, simulation.steps], dimension_names: ['sensor', 'time'] });
  });

  it('gives the field of a bowl as its direct sum does', async () => {
    const transducer = { radius: '4mm', directivity: 'Focused', focused: { focalLength: '12mm' } };
    const changes = { array: { grid: { rows: 1, columns: 1 }, transducer } };
    const summed = await compute(smallProblem({ ...base, ...changes, method: 'DirectSum' }));
    const simulated = await compute(timed({}, changes));
    expect(difference(floatsOf(summed, pressure), floatsOf(simulated, pressure))).toBeLessThan(0.05);
  });

  it('gives the same amplitudes from a burst as from a drive that sounds on', async () => {
    const burst = await compute(timed({ cycles: 10, burst: 3 }));
    expect(difference(floatsOf(steady, pressure), floatsOf(burst, pressure))).toBeLessThan(0.02);
    expect(summaryOf(steady).simulation.unsettled).toBeLessThan(0.02);
    expect(summaryOf(burst).warnings).toEqual([expect.stringMatching(/^an absorbing layer/)]);
  });

  it('is warned of a burst that still sounds at the end', async () => {
    const { simulation, warnings } = summaryOf(await compute(timed({ cycles: 8, burst: 6 })));
    expect(simulation.unsettled).toBeGreaterThan(0.01);
    expect(warnings).toContainEqual(
      expect.stringMatching(/^the burst still sounded with .*raise spec.timeDomain.cycles/),
    );
  });

  it('hears a body of another medium: shadow behind, and more in front', async () => {
    const wall = { center: ['0mm', '0mm', '11.25mm'], size: ['100mm', '100mm', '1.5mm'] };
    const regions = [{ name: 'wall', ...wall, soundSpeed: '343m/s', density: '60kg/m3' }];
    const open = floatsOf(steady, pressure);
    const folder = await compute(timed({ regions, cfl: '0.3' }));
    const walled = floatsOf(folder, pressure);
    const onAxis = (field: Float32Array, plane: number): number =>
      Math.hypot(field[2 * ((plane * 5 + 2) * 5 + 2)]!, field[2 * ((plane * 5 + 2) * 5 + 2) + 1]!);
    // Planes are at 9 mm and every 1.5 mm; the wall is the second and the third. By the mass law a fiftieth comes through; the layer adds to it.
    expect(onAxis(walled, 4)).toBeLessThan(0.3 * onAxis(open, 4));
    expect(onAxis(walled, 0)).toBeGreaterThan(1.2 * onAxis(open, 0));
    expect(summaryOf(folder).warnings).toContainEqual(expect.stringMatching(/spec.medium alone/));
  });

  it('reads a map of the medium as zarr-python writes it, and hears no difference where it is the same medium', async () => {
    const shape = [5, 5, 5];
    const files = new Map<string, Uint8Array>();
    const write = (name: string, value: number, dataType: 'float32' | 'float64'): void => {
      const configuration = { chunk_shape: [3, 5, 4] };
      const text = JSON.stringify({
        zarr_format: 3,
        node_type: 'array',
        shape,
        data_type: dataType,
        chunk_grid: { name: 'regular', configuration },
        chunk_key_encoding: { name: 'default', configuration: { separator: '/' } },
        codecs: [
          { name: 'bytes', configuration: { endian: 'little' } },
          { name: 'zstd', configuration: { level: 0 } },
        ],
      });
      files.set(`body/${name}/zarr.json`, Buffer.from(text));
      const numbers = new (dataType === 'float32' ? Float32Array : Float64Array)(60).fill(value);
      for (const z of [0, 1]) {
        for (const x of [0, 1]) files.set(`body/${name}/c/${z}/0/${x}`, zstdCompressSync(Buffer.from(numbers.buffer)));
      }
    };
    const mediumMap = { persistentVolumeClaim: { claimName: 'media', path: 'body' } };
    const mapped = (): Problem =>
      resolve(
        smallJob({ ...base, method: 'TimeDomain', timeDomain: { ...timeDomain, mediumMap } }),
        ({ name, file }) => {
          expect(name).toBe('media');
          const bytes = files.get(file);
          if (!bytes) throw new Error(`no file ${file}`);
          return bytes;
        },
      );
    const plain = timed();
    write('soundSpeed', plain.medium.soundSpeed, 'float64');
    expect(mapped).toThrow(
      expect.objectContaining({ field: 'spec.timeDomain.mediumMap', message: expect.stringMatching(/density/) }),
    );
    write('density', plain.medium.density, 'float32');
    const own = floatsOf(steady, pressure);
    expect(difference(own, floatsOf(await compute(mapped()), pressure))).toBeLessThan(1e-5);

    write('density', Number.NaN, 'float32');
    expect(mapped).toThrow(
      expect.objectContaining({ field: 'spec.timeDomain.mediumMap', message: expect.stringMatching(/positive/) }),
    );
    files.set('body/density/c/0/0/0', zstdCompressSync(Buffer.alloc(10)));
    expect(mapped).toThrow(expect.objectContaining({ message: expect.stringMatching(/holds 10 bytes, not 240/) }));
    shape[0] = 6;
    write('density', plain.medium.density, 'float32');
    expect(mapped).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/6 × 5 × 5 points; the volume 5 × 5 × 5/) }),
    );
  });

  it('computes nothing again that is whole, and all of it when a chunk is not', async () => {
    const problem = timed(settings, { quantities });
    const expected = resultFiles(steady);
    expect((await shard(problem, steady, 0, { threads: 1 })).points).toBe(125);
    writeFileSync(join(steady, pressure), readFileSync(join(steady, pressure)).subarray(0, 100));
    await finish(problem, steady, { threads: 1 });
    expect(resultFiles(steady)).toEqual(expected);
  });

  it('is refused before anything is simulated where memory does not hold it', () => {
    const folder = temporaryFolder();
    const needed = simulationMemory(timed() as Timed);
    const refusal = expect.objectContaining({
      reason: 'VolumeTooLarge',
      field: 'spec.volume',
      message: expect.stringMatching(/32 × 32 × 32 points around array and volume/),
    });
    expect(() => plan(timed(), folder, { ...limits, memory: needed - 1 })).toThrow(refusal);
  });
});

describe('what cannot be simulated is refused with the field, before anything is computed', () => {
  const far = [{ name: 'far', position: ['0mm', '0mm', '9m'] }];
  it.each([
    { title: 'a Courant number over 1', settings: { cfl: '1.1' }, changes: {}, field: 'spec.timeDomain.cfl' },
    { title: 'too short a time', settings: { cycles: 5 }, changes: {}, field: 'spec.timeDomain.cycles' },
    { title: 'too short a time for a burst', settings: { burst: 8 }, changes: {}, field: 'spec.timeDomain.cycles' },
    {
      title: 'a sensor beyond what the sound reaches',
      settings: { sensors: far },
      changes: {},
      field: 'spec.timeDomain.cycles',
    },
    {
      title: 'image sources',
      settings: {},
      changes: { medium: { reflectors: [{ name: 'floor', plane: 'XY', at: '-5mm' }] } },
      field: 'spec.medium.reflectors',
    },
    { title: 'the scalar reference', settings: {}, changes: { backend: 'Reference' }, field: 'spec.backend' },
    {
      title: 'a body around an element',
      settings: {
        regions: [
          {
            name: 'b',
            center: ['0mm', '0mm', '0mm'],
            radius: '1mm',
            soundSpeed: '900m/s',
            density: '3kg/m3',
          },
        ],
      },
      changes: {},
      field: 'spec.timeDomain.regions[0]',
    },
    {
      title: 'more points than are simulated',
      settings: { cycles: 100_000 },
      changes: { volume: { ...volume, size: ['2m', '2m', '2m'] } },
      field: 'spec.volume',
    },
  ])('$title', ({ settings, changes, field }) => {
    expect(() => check(timed(settings, changes))).toThrow(expect.objectContaining({ field }));
  });
});
