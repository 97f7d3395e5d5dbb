// Pictures of planes through the stored result.
import { readInto, writeWhole } from '../compute/files.ts';
import type { FieldMaxima } from '../compute/maxima.ts';
import { arrayOf, floatsPerPoint, formats, type StoredQuantity } from '../compute/quantities.ts';
import { FieldError } from '../errors.ts';
import { inferno, viridis } from '../picture/colormap.ts';
import { drawHeatmap, type Heatmap, type Plane } from '../picture/heatmap.ts';
import { chunkCount, chunkIndexes, coordinate, type Volume } from '../volume/layout.ts';
import { chunkBytes, chunkPath } from '../zarr/array.ts';
import type { PlanFile } from './output.ts';
import type { Problem, Slice } from './problem.ts';
import { formatIntensity, formatPressure } from './units.ts';

export const axisNames = ['x', 'y', 'z'] as const;
/** Points of a slice along an edge; longer ones are thinned out. */
const longestEdge = 1024;
const mostPathMarks = 48;

/** Names of the files, in the order of the slices; one of a plane outside the volume is left out. */
export function drawSlices(problem: Problem, plan: PlanFile, folder: string, maxima: FieldMaxima): string[] {
  return problem.slices.flatMap((slice, i) => {
    const index = Math.round((slice.at - problem.volume.first[2 - slice.axis]!) / problem.volume.spacing);
    const { quantity } = slice;
    const there = index >= 0 && index < problem.volume.shape[2 - slice.axis]! && plan.quantities.includes(quantity);
    if (!there) return [];
    const name = `slice-${i}-${planeName(slice.axis)}-${formats[quantity].array}.png`;
    writeWhole(folder, name, draw(problem, slice, index, quantity, folder, maxima));
    return [name];
  });
}

function draw(
  problem: Problem,
  slice: Slice,
  index: number,
  quantity: StoredQuantity,
  folder: string,
  maxima: FieldMaxima,
): Buffer {
  const { volume, targets, emitters, solver, wavelength } = problem;
  const [across, up] = [0, 1, 2].filter((axis) => axis !== slice.axis) as [0 | 1 | 2, 0 | 1 | 2];
  const plane = readPlane(folder, volume, quantity, slice.axis, index);
  const at = coordinate(volume, (2 - slice.axis) as 0 | 1 | 2, index);
  return drawPlane(plane, {
    quantity,
    title: `${problem.name}: ${labels[quantity]}, plane ${axisNames[slice.axis]} = ${Number((at * 1000).toPrecision(4))} mm`,
    subtitle: `${emitters.elements.count} elements, ${solver.algorithm}, λ ${(wavelength * 1000).toFixed(2)} mm, largest ${formatPressure(maxima.anywhere)}`,
    axes: [axisNames[across], axisNames[up]],
    marks: [...targets, ...pathMarks(problem)]
      .filter(({ position }) => Math.abs(position[slice.axis] - at) <= Math.max(volume.spacing, wavelength / 4))
      .map(({ name, position }) => ({ at: [position[across], position[up]] as const, label: name })),
  });
}

/** Where moving targets come by, without names; as many as a picture has room for. */
function pathMarks({ motion }: Problem): Pick<Problem['targets'][number], 'name' | 'position'>[] {
  return (motion?.paths ?? []).flatMap(({ positions }) => {
    const skip = Math.ceil(positions.length / mostPathMarks);
    return positions.filter((_, i) => i > 0 && i % skip === 0).map((position) => ({ name: '', position }));
  });
}

/** A picture in the colours and units of its quantity. */
export function drawPlane(
  plane: Plane,
  { quantity, ...words }: Pick<Heatmap, 'title' | 'subtitle' | 'axes' | 'marks'> & { quantity: StoredQuantity },
): Buffer {
  const magnitude = quantity !== 'GorkovPotential';
  const finite = plane.values.filter((value) => Number.isFinite(value));
  const low = magnitude ? 0 : finite.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const high = finite.reduce((most, value) => Math.max(most, value), magnitude ? 0 : Number.NEGATIVE_INFINITY);
  const colors = magnitude ? inferno : viridis;
  return drawHeatmap({ plane, ...words, colors, range: [low, high], format: formatters[quantity] });
}

export const labels: Readonly<Record<StoredQuantity, string>> = {
  Pressure: 'pressure amplitude',
  Intensity: 'intensity',
  Velocity: 'particle velocity',
  GorkovPotential: "Gor'kov potential",
  Force: 'radiation force',
  Stiffness: 'stiffness',
  PressureMaximum: 'largest pressure in time',
  PressureRMS: 'root mean square of the pressure',
};

const formatters: Readonly<Record<StoredQuantity, (value: number) => string>> = {
  Pressure: formatPressure,
  Intensity: formatIntensity,
  Velocity: (value) => `${Number(value.toPrecision(3))} m/s`,
  GorkovPotential: (value) => (value === 0 ? '0 J' : `${value.toExponential(1)} J`),
  Force: (value) => (value === 0 ? '0 N' : `${value.toExponential(1)} N`),
  Stiffness: (value) => (value === 0 ? '0 N/m' : `${value.toExponential(1)} N/m`),
  PressureMaximum: formatPressure,
  PressureRMS: formatPressure,
};

function planeName(axis: number): string {
  return [0, 1, 2]
    .filter((each) => each !== axis)
    .map((each) => axisNames[each])
    .join('');
}

/** Magnitudes (or values, for scalars) of the plane `index` normal to `axis`. */
function readPlane(folder: string, volume: Volume, quantity: StoredQuantity, axis: 0 | 1 | 2, index: number): Plane {
  const [across, up] = [0, 1, 2].filter((each) => each !== axis) as [number, number];
  const size = (each: number): number => volume.shape[2 - each]!;
  const skip = Math.max(1, Math.ceil(Math.max(size(across), size(up)) / longestEdge));
  const columns = Math.floor((size(across) - 1) / skip) + 1;
  const rows = Math.floor((size(up) - 1) / skip) + 1;
  const values = new Float32Array(columns * rows).fill(Number.NaN);
  const fixed = 2 - axis;
  const floats = floatsPerPoint(quantity);
  const buffer = new Uint8Array(chunkBytes(arrayOf(quantity, volume)));
  const wanted = Math.floor(index / volume.chunk[fixed]!);
  for (let chunk = 0; chunk < chunkCount(volume); chunk++) {
    const indexes = chunkIndexes(volume, chunk);
    if (indexes[fixed] !== wanted) continue;
    const data = readChunk(folder, quantity, indexes, buffer);
    // Floats from one point to the next along z, y, x, and points of the picture that lie in this chunk.
    const strides = [volume.chunk[1] * volume.chunk[2] * floats, volume.chunk[2] * floats, floats];
    const inChunk = (along: number, n: number): [number, number] => {
      const from = indexes[2 - along]! * volume.chunk[2 - along]!;
      const to = Math.min(from + volume.chunk[2 - along]!, size(along));
      return [Math.ceil(from / skip), Math.min(n, Math.ceil(to / skip))];
    };
    const base = (index - indexes[fixed] * volume.chunk[fixed]!) * strides[fixed]!;
    const [firstRow, endRow] = inChunk(up, rows);
    const [firstColumn, endColumn] = inChunk(across, columns);
    for (let row = firstRow; row < endRow; row++) {
      const ofRow = base + (row * skip - indexes[2 - up]! * volume.chunk[2 - up]!) * strides[2 - up]!;
      for (let column = firstColumn; column < endColumn; column++) {
        const offset =
          ofRow + (column * skip - indexes[2 - across]! * volume.chunk[2 - across]!) * strides[2 - across]!;
        let square = 0;
        for (let i = 0; i < floats; i++) square += data[offset + i]! ** 2;
        values[row * columns + column] = floats === 1 ? data[offset]! : Math.sqrt(square);
      }
    }
  }
  const range = (each: number, n: number): [number, number] => {
    const low = volume.first[2 - each]!;
    return [low, low + (n - 1) * skip * volume.spacing];
  };
  return { values, columns, rows, horizontal: range(across, columns), vertical: range(up, rows) };
}

function readChunk(
  folder: string,
  quantity: StoredQuantity,
  indexes: readonly number[],
  bytes: Uint8Array<ArrayBuffer>,
): Float32Array {
  const { array, components } = formats[quantity];
  const path = chunkPath(array, components === 3 ? [...indexes, 0] : indexes);
  if (!readInto(folder, path, bytes))
    throw new FieldError('OutputDamaged', `${path} is missing or cut off`, 'spec.output');
  return new Float32Array(bytes.buffer, 0, (bytes.length - 4) / 4);
}
