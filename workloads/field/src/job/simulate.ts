// The shard of a job in time: there is one, for every point hears all others. Its chunks are written when the last step is done.
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { orderOf } from '../compute/chunk.ts';
import { readInto, writeWhole } from '../compute/files.ts';
import { type ComplexRow, writeRow } from '../compute/quantities.ts';
import { type ChunkResult, ChunkStore } from '../compute/store.ts';
import { FieldError } from '../errors.ts';
import { derivativeAxes, derivativeCounts } from '../physics/derivatives.ts';
import { type Drive, drivenSources } from '../physics/sources.ts';
import { type ComplexArray, FourierTransform, frequenciesOf } from '../spectrum/fft.ts';
import { pointSourcesOf } from '../timedomain/aperture.ts';
import { type Domain, placeIn, pointsIn, sizeOf } from '../timedomain/domain.ts';
import { mediumIn } from '../timedomain/medium.ts';
import { type Recording, record } from '../timedomain/record.ts';
import { Simulation } from '../timedomain/simulation.ts';
import { addSource, sensorAt } from '../timedomain/source.ts';
import { chunkCount } from '../volume/layout.ts';
import { type ArrayDescription, arrayMetadata, chunkBytes, chunkPath, seal, verified } from '../zarr/array.ts';
import { type PlanFile, readJson, toJson } from './output.ts';
import { constantsOf } from './problem.ts';
import { discRadius, type Simulated, simulationOf, type TimeDomain, type Timed } from './timedomain.ts';

/** What `summary.json` tells of it. */
export interface SimulationFile {
  readonly digest: string;
  readonly code: string;
  /** Points along z, y, x, absorbing layers included, metres between them, and steps of so many seconds. */
  readonly shape: readonly number[];
  readonly step: number;
  readonly steps: number;
  readonly timeStep: number;
  /** Of a continuous drive how much amplitudes changed over the last period, of a burst what still sounded then, over the largest. */
  readonly unsettled?: number;
  /** Checksum of each sensor's samples, and of their times. */
  readonly sensors: readonly number[];
  readonly times?: number;
}

export const sensorsArray = 'sensors';
const simulationPath = '.quintet/simulation.json';

/** What was simulated for the plan; undefined unless it is there and its traces are whole. */
export function readSimulation(problem: Timed, plan: PlanFile, folder: string): SimulationFile | undefined {
  const file = readJson<SimulationFile>(folder, simulationPath);
  if (file?.digest !== plan.digest || file.code !== plan.code) return undefined;
  if (file.sensors.length === 0) return file;
  const [times, samples] = [timesOf(file.steps), sensorsOf(problem.timeDomain, file.steps)];
  const whole =
    holds(folder, times, [file.times]) &&
    holds(folder, samples, file.sensors) &&
    [times, samples].every((array) => sameJson(readJson(folder, metadataPath(array)), arrayMetadata(array)));
  return whole ? file : undefined;
}

/** Whether the rows of an array are there with these checksums. */
function holds(folder: string, array: ArrayDescription, sums: readonly (number | undefined)[]): boolean {
  const buffer = new Uint8Array(chunkBytes(array));
  return sums.every(
    (sum, i) => sum !== undefined && readInto(folder, rowPath(array, i), buffer) && verified(buffer) === sum,
  );
}

const sameJson = (value: unknown, text: string): boolean => JSON.stringify(value) === JSON.stringify(JSON.parse(text));
const metadataPath = ({ name }: ArrayDescription): string => join(name, 'zarr.json');
const rowPath = ({ name, shape }: ArrayDescription, row: number): string =>
  chunkPath(name, shape.length === 1 ? [0] : [row, 0]);

/** All chunks, found whole or computed anew. */
export async function simulateChunks(
  problem: Timed,
  plan: PlanFile,
  drive: Drive,
  folder: string,
  { signal, onStep }: { signal?: AbortSignal; onStep: (step: number, steps: number) => void },
): Promise<ChunkResult[]> {
  const { volume, safety } = problem;
  const store = new ChunkStore({ volume, quantities: plan.quantities, zones: safety.zones, folder });
  const chunks = Array.from({ length: chunkCount(volume) }, (_, i) => i);
  if (readSimulation(problem, plan, folder)) {
    const found = chunks.map((chunk) => store.find(chunk));
    if (found.every((each) => each !== undefined)) return found;
  }
  const simulated = simulationOf(problem);
  const recording = await run(problem, plan, drive, simulated, {
    ...(signal && { signal }),
    onStep: (step) => onStep(step, simulated.steps),
  }).catch((error: unknown) => {
    if (!(error instanceof RangeError)) throw error;
    throw new FieldError('KernelRefused', `${error.message}; lower it`, 'spec.timeDomain.cfl', error);
  });
  const results = writeChunks(problem, plan, simulated, recording, store, chunks);
  for (const chunk of chunks) store.sync(chunk);
  const { domain, steps, timeStep } = simulated;
  const file: SimulationFile = {
    digest: plan.digest,
    code: plan.code,
    shape: domain.shape,
    step: domain.step,
    steps,
    timeStep,
    ...(recording.unsettled !== undefined && { unsettled: recording.unsettled }),
    ...writeSensors(problem.timeDomain, simulated, recording, folder),
  };
  writeWhole(folder, simulationPath, toJson(file));
  return results;
}

async function run(
  problem: Timed,
  plan: PlanFile,
  drive: Drive,
  { domain, timeStep, steps }: Simulated,
  options: { signal?: AbortSignal; onStep: (step: number) => void },
): Promise<Recording> {
  const { volume, timeDomain, medium, frequency } = problem;
  const simulation = new Simulation({
    ...mediumIn(domain, volume, medium, timeDomain.regions, timeDomain.map),
    shape: domain.shape,
    step: domain.step,
    timeStep,
    exactSpeed: medium.soundSpeed,
    layers: domain.shape.map(() => domain.layer),
    decay: medium.attenuation * medium.soundSpeed,
  });
  return record(
    simulation,
    {
      masses: await massesOf(problem, drive, domain, options.signal),
      frequency,
      ...(timeDomain.burst !== undefined && { burst: timeDomain.burst }),
    },
    {
      steps,
      at: pointsIn(domain, volume),
      extremes: plan.quantities.some((each) => each === 'PressureMaximum' || each === 'PressureRMS'),
      sensors: timeDomain.sensors.map(({ position }) => sensorAt(domain, placeIn(domain, volume, position))),
      ...options,
    },
  );
}

/** Sources that are added before others have their turn. */
const sourcesAtOnce = 4096;

/** Of all points of the domain. */
async function massesOf(
  { emitters, frequency, volume }: Timed,
  drive: Drive,
  domain: Domain,
  signal: AbortSignal | undefined,
): Promise<ComplexArray> {
  const masses = { re: new Float64Array(sizeOf(domain)), im: new Float64Array(sizeOf(domain)) };
  let added = 0;
  for (const { position, mass } of pointSourcesOf(drivenSources(emitters, drive), discRadius(emitters), frequency)) {
    addSource(domain, placeIn(domain, volume, position), emitters.wavenumber, mass, masses);
    if (++added % sourcesAtOnce !== 0) continue;
    await setImmediate();
    signal?.throwIfAborted();
  }
  return masses;
}

function writeChunks(
  problem: Timed,
  plan: PlanFile,
  { domain }: Simulated,
  { pressure, largest, effective }: Recording,
  store: ChunkStore,
  chunks: readonly number[],
): ChunkResult[] {
  const { volume } = problem;
  const points = pointsIn(domain, volume);
  const fields = derivativesOf(pressure, domain.shape, domain.step, orderOf(plan), points);
  const constants = constantsOf(problem);
  const [, ny, nx] = volume.shape;
  return chunks.map((chunk) =>
    store.write(chunk, ({ start, shape }) => {
      for (let iz = 0; iz < shape[0]; iz++) {
        for (let iy = 0; iy < shape[1]; iy++) {
          const from = ((start[0] + iz) * ny + start[1] + iy) * nx + start[2];
          const rows = fields.map((field): ComplexRow => {
            const row = field.subarray(2 * from, 2 * (from + shape[2]));
            return { re: row, im: row.subarray(1), step: 2 };
          });
          store.row(iz, iy, (quantity, out, at) => {
            const recorded = { PressureMaximum: largest, PressureRMS: effective }[quantity as 'PressureMaximum'];
            if (recorded) out.set(recorded.subarray(from, from + shape[2]), at);
            else writeRow(quantity, rows, shape[2], constants, out, at);
          });
        }
      }
    }),
  );
}

/** Pressure and its derivatives up to `order` at some points, from the spectrum of all: nothing is lost by it. */
function derivativesOf(
  pressure: ComplexArray,
  shape: readonly [number, number, number],
  step: number,
  order: 0 | 1 | 2 | 3,
  points: Uint32Array,
): Float32Array[] {
  const picked = ({ re, im }: ComplexArray): Float32Array => {
    const out = new Float32Array(2 * points.length);
    points.forEach((point, i) => {
      out[2 * i] = re[point]!;
      out[2 * i + 1] = im[point]!;
    });
    return out;
  };
  const fields = [picked(pressure)];
  if (order === 0) return fields;
  const transform = new FourierTransform(shape);
  transform.forward(pressure);
  const wavenumbers = shape.map((n) => frequenciesOf(n).map((each) => (2 * Math.PI * each) / step));
  const slope = { re: new Float64Array(pressure.re.length), im: new Float64Array(pressure.re.length) };
  for (const axes of derivativeAxes.slice(1, derivativeCounts[order])) {
    // Of each axis of the shape, how often it is derived by: iⁿ turns real into imaginary parts.
    const times = [2, 1, 0].map((axis) => axes.filter((each) => each === axis).length);
    const powers = wavenumbers.map((values, axis) => values.map((k) => k ** times[axis]!));
    const turns = axes.length % 4;
    let at = 0;
    for (const kz of powers[0]!) {
      for (const ky of powers[1]!) {
        for (const kx of powers[2]!) {
          const by = kz * ky * kx;
          const [re, im] = [pressure.re[at]! * by, pressure.im[at]! * by];
          slope.re[at] = turns === 0 ? re : turns === 1 ? -im : turns === 2 ? -re : im;
          slope.im[at] = turns === 0 ? im : turns === 1 ? re : turns === 2 ? -im : -re;
          at++;
        }
      }
    }
    transform.backward(slope);
    fields.push(picked(slope));
  }
  return fields;
}

function sensorsOf({ sensors }: TimeDomain, steps: number): ArrayDescription {
  return {
    name: sensorsArray,
    dataType: 'float32',
    shape: [sensors.length, steps],
    chunk: [1, steps],
    dimensionNames: ['sensor', 'time'],
    attributes: {
      units: 'Pa',
      description: 'pressure at each sensor after each time step',
      sensors: sensors.map(({ name, position }) => ({ name, position })),
    },
  };
}

/** Of each time step, seconds. */
const timesOf = (steps: number): ArrayDescription => ({
  name: 'time',
  dataType: 'float64',
  shape: [steps],
  chunk: [steps],
  dimensionNames: ['time'],
  attributes: { units: 's' },
});

function writeSensors(
  timeDomain: TimeDomain,
  { steps, timeStep }: Simulated,
  { traces }: Recording,
  folder: string,
): Pick<SimulationFile, 'sensors' | 'times'> {
  if (traces.length === 0) return { sensors: [] };
  const seconds = Float64Array.from({ length: steps }, (_, n) => (n + 1) * timeStep);
  const [times] = writeArray(folder, timesOf(steps), [seconds]);
  return { sensors: writeArray(folder, sensorsOf(timeDomain, steps), traces), times: times! };
}

/** Metadata and one chunk per row. */
function writeArray(folder: string, array: ArrayDescription, rows: readonly (Float32Array | Float64Array)[]): number[] {
  writeWhole(folder, metadataPath(array), arrayMetadata(array));
  return rows.map((row, i) => {
    const bytes = new Uint8Array(chunkBytes(array));
    bytes.set(new Uint8Array(row.buffer, row.byteOffset, row.byteLength));
    const sum = seal(bytes);
    writeWhole(folder, rowPath(array, i), bytes);
    return sum;
  });
}
