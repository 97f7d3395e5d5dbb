// What a thread of the service does: solve, sum a plane, sum points. Plain data in and out.
import { fieldJob, parseStored } from '@quintet/crds';
import { floatsPerPoint, formats, type StoredQuantity } from '../compute/quantities.ts';
import { FieldError } from '../errors.ts';
import { checkScene } from '../job/check.ts';
import { resolveVolume } from '../job/problem.ts';
import { judge, thermalIndexIn } from '../job/safety.ts';
import { sampleMaxima, targetPressures, targetStiffness } from '../job/sample.ts';
import { resolveScene, type Scene } from '../job/scene.ts';
import { axisNames, drawPlane, labels } from '../job/slices.ts';
import { mountedFile } from '../job/tables.ts';
import { atOnce } from '../job/turns.ts';
import { formatPercent } from '../job/units.ts';
import { type Drive, drivenSources, type Sources } from '../physics/sources.ts';
import { type SolverSettings, solveGoals } from '../solver/solve.ts';
import { goalsOf, type Propagator, type Target } from '../solver/targets.ts';
import { layOut, type Volume } from '../volume/layout.ts';
import { atPoints, constantsOf, cornerOf, onPlane, type PlaneGrid, planeAxes } from './evaluate.ts';

/** The resource as JSON: threads read it once. */
type Job = string;

export interface SolveTask {
  readonly job: Job;
  readonly targets: readonly Target[];
  readonly solver: SolverSettings;
  readonly measure: boolean;
  /** Of the targets, where they are kept. */
  readonly propagators: readonly (Propagator | undefined)[];
}

export interface SolveResult {
  readonly solved: Solved;
  /** Those that were not there, and milliseconds that each took. */
  readonly made: readonly { readonly target: number; readonly propagator: Propagator; readonly milliseconds: number }[];
}

export interface Solved {
  readonly algorithm: string;
  readonly iterations: number;
  readonly residual: number;
  readonly amplitudes: number[];
  readonly phases: number[];
  readonly targets: { name: string; trap: string; position: number[]; pressure?: number; stiffness?: number }[];
  readonly safety: {
    verdict: 'Safe' | 'Clamped' | 'NotLimited';
    maxPressure?: number;
    margin?: number;
    message?: string;
  };
}

export interface PointsTask {
  readonly job: Job;
  readonly drive: Drive;
  readonly points: Float64Array;
  readonly quantities: readonly StoredQuantity[];
}

export interface SliceTask {
  readonly job: Job;
  readonly drive: Drive;
  readonly targets: readonly Pick<Target, 'name' | 'position'>[];
  readonly grid: PlaneGrid;
  readonly quantity: StoredQuantity;
  readonly picture: boolean;
}

/** Errors lose their class between threads: those that a request can mend are carried as data. */
export type Told<T> = { ok: T } | { error: { reason: string; message: string; field?: string } };

export const solve = (task: SolveTask): Told<SolveResult> => told(() => solved(sceneOf(task.job), task));

export const points = ({ job, drive, points: at, quantities }: PointsTask): Told<Float32Array[]> =>
  told(() => {
    const { scene } = sceneOf(job);
    return atPoints(drivenSources(scene.emitters, drive), constantsOf(scene), at, quantities);
  });

/** A picture, or the floats row by row. */
export const slice = (task: SliceTask): Told<Uint8Array | Float32Array> =>
  told(() => {
    const { scene } = sceneOf(task.job);
    const values = onPlane(scene, drivenSources(scene.emitters, task.drive), task.grid, task.quantity);
    if (!task.picture) return values;
    return new Uint8Array(pictureOf(scene, task, values));
  });

/** The resource's own scene, and its volume where it has one. @throws FieldError */
export function readScene(job: Job): { scene: Scene; volume: Volume | undefined } {
  const resource = parseStored(fieldJob, JSON.parse(job));
  const { volume } = resource.spec;
  const scene = resolveScene(resource, mountedFile);
  return { scene, volume: volume && resolveVolume(volume) };
}

let known: { job: Job; scene: Scene; volume: Volume | undefined } | undefined;
function sceneOf(job: Job): { scene: Scene; volume: Volume | undefined } {
  if (known?.job !== job) known = { job, ...readScene(job) };
  return known;
}

function told<T>(make: () => T): Told<T> {
  try {
    return { ok: make() };
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    const { reason, message, field } = error;
    return { error: { reason, message, ...(field !== undefined && { field }) } };
  }
}

function solved(
  { scene: base, volume }: { scene: Scene; volume: Volume | undefined },
  { targets, solver, measure, propagators }: SolveTask,
): SolveResult {
  const scene: Scene = { ...base, targets, solver };
  checkScene(scene);
  const made: SolveResult['made'][number][] = [];
  let since = performance.now();
  const goals = goalsOf(scene.emitters, targets, propagators, (target, propagator) => {
    made.push({ target, propagator, milliseconds: performance.now() - since });
    since = performance.now();
  });
  const found = solveGoals(goals, targets, solver);
  const { drive, safety } = kept(scene, volume ?? around(scene), found.drive);
  const sources = drivenSources(scene.emitters, drive);
  const pressures = measure ? atOnce(targetPressures(scene, sources)) : [];
  const stiffness = measure ? targetStiffness(scene, sources) : [];
  return {
    made,
    solved: {
      algorithm: solver.algorithm,
      iterations: found.iterations,
      residual: found.residual,
      amplitudes: Array.from(drive.amplitudes),
      phases: Array.from(drive.phases),
      targets: targets.map(({ name, trap, position }, i) => ({
        name,
        trap,
        position: [...position],
        ...(pressures[i] !== undefined && { pressure: pressures[i] }),
        ...(stiffness[i] !== undefined && { stiffness: stiffness[i] }),
      })),
      safety,
    },
  };
}

/** The drive within the limits. Where there are none, nothing is sampled: haptics have no time for it. */
function kept(scene: Scene, volume: Volume, drive: Drive): { drive: Drive; safety: Solved['safety'] } {
  const { maxPressure, maxIntensity, maxMechanicalIndex, maxThermalIndex, zones } = scene.safety;
  const limited = [maxPressure, maxIntensity, maxMechanicalIndex, maxThermalIndex].some((limit) => limit !== undefined);
  if (!limited && zones.length === 0) return { drive, safety: { verdict: 'NotLimited' } };
  const sampled = atOnce(sampleMaxima({ ...scene, volume }, drivenSources(scene.emitters, drive)));
  const maxima = { ...sampled, ...thermalIndexIn(scene, drive) };
  const { verdict, factor, margin, message, field } = judge(scene.safety, maxima, scene.medium, scene.frequency);
  if (verdict === 'Refused') throw new FieldError('SafetyLimitExceeded', message ?? 'a limit would be broken', field);
  // A hair below the limit, so that rounding does not lift it over.
  const by = factor < 1 ? factor * (1 - 1e-4) : 1;
  return {
    drive: by < 1 ? { ...drive, amplitudes: drive.amplitudes.map((each) => each * by) } : drive,
    safety: {
      verdict,
      maxPressure: maxima.anywhere * by,
      ...(margin !== undefined && { margin: by < 1 ? 0 : margin }),
      ...(message && { message: `${message}; the drive is turned down to ${formatPercent(factor)}` }),
    },
  };
}

/** Two wavelengths around the targets, where the resource names no volume. */
function around({ targets, wavelength }: Scene): Volume {
  const low = [0, 1, 2].map((axis) => Math.min(...targets.map(({ position }) => position[axis]!)) - 2 * wavelength);
  const high = [0, 1, 2].map((axis) => Math.max(...targets.map(({ position }) => position[axis]!)) + 2 * wavelength);
  const center = low.map((from, axis) => (from + high[axis]!) / 2);
  return layOut(
    center,
    low.map((from, axis) => high[axis]! - from),
    wavelength / 4,
  );
}

function pictureOf(scene: Scene, { grid, quantity, targets }: SliceTask, values: Float32Array): Buffer {
  const [across, up] = planeAxes(grid.axis);
  const [x0, y0] = cornerOf(grid);
  const floats = floatsPerPoint(quantity);
  const plane = {
    values: floats === 1 ? values : magnitudes(values, floats),
    columns: grid.columns,
    rows: grid.rows,
    horizontal: [x0, x0 + (grid.columns - 1) * grid.spacing] as const,
    vertical: [y0, y0 + (grid.rows - 1) * grid.spacing] as const,
  };
  const at = grid.center[grid.axis];
  return drawPlane(plane, {
    quantity,
    title: `${scene.name}: ${labels[quantity]}, plane ${axisNames[grid.axis]} = ${Number((at * 1000).toPrecision(4))} mm`,
    subtitle: `${scene.emitters.elements.count} elements, λ ${(scene.wavelength * 1000).toFixed(2)} mm`,
    axes: [axisNames[across], axisNames[up]],
    marks: targets
      .filter(({ position }) => Math.abs(position[grid.axis] - at) <= Math.max(grid.spacing, scene.wavelength / 4))
      .map(({ name, position }) => ({ at: [position[across], position[up]] as const, label: name })),
  });
}

function magnitudes(values: Float32Array, floats: number): Float32Array {
  return Float32Array.from({ length: values.length / floats }, (_, i) => {
    let square = 0;
    for (let n = 0; n < floats; n++) square += values[i * floats + n]! ** 2;
    return Math.sqrt(square);
  });
}

/** Sources of a drive, for points that are summed without a thread. */
export const sourcesOf = (scene: Scene, drive: Drive): Sources => drivenSources(scene.emitters, drive);

/** Names of the stored arrays are those of the answers. */
export const nameOf = (quantity: StoredQuantity): string => formats[quantity].array;
