// The field of one drive at chosen points and on planes: what threads compute for the service.
import {
  type ComplexRow,
  type Constants,
  floatsPerPoint,
  formats,
  type StoredQuantity,
  writeRow,
} from '../compute/quantities.ts';
import { FieldError } from '../errors.ts';
import type { Scene } from '../job/scene.ts';
import { ReferenceKernel, type RowKernel } from '../kernel/kernel.ts';
import { checkedKernel } from '../kernel/selfcheck.ts';
import { derivativeCounts, derivativesAt } from '../physics/derivatives.ts';
import { gorkov } from '../physics/particle.ts';
import { gradientAt, pressureAt } from '../physics/reference.ts';
import type { Sources } from '../physics/sources.ts';

type Order = 0 | 1 | 2 | 3;

/** A rectangle of points normal to an axis. */
export interface PlaneGrid {
  /** 0, 1, 2 for x, y, z. */
  readonly axis: 0 | 1 | 2;
  readonly center: readonly [number, number, number];
  /** Points along the lower and the higher of the two other axes. */
  readonly columns: number;
  readonly rows: number;
  readonly spacing: number;
}

export function constantsOf({ particle, medium, frequency }: Scene): Constants {
  return { omegaRho: 2 * Math.PI * frequency * medium.density, gorkov: gorkov(particle, medium, frequency) };
}

/** Cost of one point against that of a pressure, by the highest derivative it needs; measured. */
export const costOf = (quantities: readonly StoredQuantity[]): number =>
  [1, 2, 8, 16][Math.max(...quantities.map((quantity) => formats[quantity].order))]!;

/** Floats of each quantity at points x, y, z after one another, in the layout of the stored arrays. */
export function atPoints(
  sources: Sources,
  constants: Constants,
  points: Float64Array,
  quantities: readonly StoredQuantity[],
): Float32Array[] {
  const count = points.length / 3;
  const order = Math.max(...quantities.map((quantity) => formats[quantity].order)) as Order;
  const fields = scattered(sources, order, points);
  return quantities.map((quantity) => {
    const out = new Float32Array(count * floatsPerPoint(quantity));
    writeRow(quantity, fields, count, constants, out, 0);
    return out;
  });
}

/** First coordinates of columns and rows. */
export function cornerOf({ axis, center, columns, rows, spacing }: PlaneGrid): [number, number] {
  const [across, up] = planeAxes(axis);
  return [center[across] - ((columns - 1) / 2) * spacing, center[up] - ((rows - 1) / 2) * spacing];
}

/** The two axes that a plane lies in. */
export function planeAxes(axis: 0 | 1 | 2): [0 | 1 | 2, 0 | 1 | 2] {
  return axis === 0 ? [1, 2] : axis === 1 ? [0, 2] : [0, 1];
}

/** Floats of the quantity on the plane, row by row from the lowest. */
export function onPlane(scene: Scene, sources: Sources, grid: PlaneGrid, quantity: StoredQuantity): Float32Array {
  const { order } = formats[quantity];
  const constants = constantsOf(scene);
  const floats = floatsPerPoint(quantity);
  const out = new Float32Array(grid.columns * grid.rows * floats);
  const [x0, y0] = cornerOf(grid);
  const along = Float64Array.from({ length: grid.columns }, (_, i) => x0 + i * grid.spacing);
  // Kernels sum along x: for a plane normal to x, y takes its place.
  const turned = grid.axis === 0;
  const kernel = order <= 1 ? kernelFor(scene, turned ? swapped(sources) : sources, grid, turned) : undefined;
  kernel?.setRow(along);
  for (let row = 0; row < grid.rows; row++) {
    const up = y0 + row * grid.spacing;
    const fields = kernel
      ? kernelRow(kernel, order as 0 | 1, grid, up, turned)
      : scattered(sources, order, rowPoints(grid, along, up));
    writeRow(quantity, fields, grid.columns, constants, out, row * grid.columns * floats);
  }
  return out;
}

function kernelRow(kernel: RowKernel, order: 0 | 1, grid: PlaneGrid, up: number, turned: boolean): ComplexRow[] {
  const at = grid.center[grid.axis];
  // XY: y is up and z fixed; XZ and the turned YZ: y is fixed and z up.
  const [y, z] = grid.axis === 2 ? [up, at] : [at, up];
  const parts = order === 0 ? Object.values(kernel.pressure(y, z)) : kernel.gradient(y, z);
  const fields: ComplexRow[] = [];
  for (let i = 0; i < parts.length; i += 2) fields.push({ re: parts[i]!, im: parts[i + 1]!, step: 1 });
  return turned && order === 1 ? [fields[0]!, fields[2]!, fields[1]!, fields[3]!] : fields;
}

function rowPoints(grid: PlaneGrid, along: Float64Array, up: number): Float64Array {
  const [across, vertical] = planeAxes(grid.axis);
  const points = new Float64Array(3 * along.length);
  along.forEach((value, i) => {
    points[3 * i + across] = value;
    points[3 * i + vertical] = up;
    points[3 * i + grid.axis] = grid.center[grid.axis];
  });
  return points;
}

function kernelFor(scene: Scene, sources: Sources, grid: PlaneGrid, turned: boolean): RowKernel {
  if (scene.backend === 'Reference') return new ReferenceKernel(sources);
  const [x, y, z] = grid.center;
  const reach = Math.hypot(grid.columns - 1, grid.rows - 1) * 0.5 * grid.spacing;
  try {
    return checkedKernel(sources, turned ? [y, x, z] : [x, y, z], reach);
  } catch (error) {
    if (error instanceof FieldError && error.reason === 'KernelRefused') return new ReferenceKernel(sources);
    throw error;
  }
}

/** The same sources in a frame with x and y exchanged. */
function swapped(sources: Sources): Sources {
  const { count } = sources;
  const exchange = (values: Float64Array): Float64Array => {
    const copy = Float64Array.from(values);
    copy.set(values.subarray(count, 2 * count), 0);
    copy.set(values.subarray(0, count), count);
    return copy;
  };
  return { ...sources, positions: exchange(sources.positions), normals: exchange(sources.normals) };
}

/** Pressure and its derivatives at points anywhere, summed in 64 bits. */
function scattered(sources: Sources, order: Order, points: Float64Array): ComplexRow[] {
  const count = points.length / 3;
  const value = new Float64Array(2 * derivativeCounts[order]);
  const fields = Array.from({ length: derivativeCounts[order] }, () => ({
    re: new Float32Array(count),
    im: new Float32Array(count),
    step: 1 as const,
  }));
  for (let i = 0; i < count; i++) {
    const [x, y, z] = [points[3 * i]!, points[3 * i + 1]!, points[3 * i + 2]!];
    if (order === 0) pressureAt(sources, x, y, z, value);
    else if (order === 1) gradientAt(sources, x, y, z, value);
    else derivativesAt(sources, order, x, y, z, value);
    fields.forEach((field, n) => {
      field.re[i] = value[2 * n]!;
      field.im[i] = value[2 * n + 1]!;
    });
  }
  return fields;
}
