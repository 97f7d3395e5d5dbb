// Layers of a lattice by the angular spectrum: on each side of the volume that has sources one plane is summed, and every
// layer follows from it.
import type { Lattice } from '../interpolation/design.ts';
import type { RowKernel } from '../kernel/kernel.ts';
import type { Sources } from '../physics/sources.ts';
import { AngularSpectrum, fadeOf } from './angular.ts';
import type { ComplexArray } from './fft.ts';

/** The plane that is summed on one side of the volume: points of the lattice, and as many more as the waves need. */
export interface SourcePlane {
  /** +1 where its waves go up along z, -1 where down. */
  readonly towards: 1 | -1;
  /** Metres. */
  readonly z: number;
  /** Points along y and x. */
  readonly shape: readonly [number, number];
  /** Points before the lattice's first, along y and x. */
  readonly before: readonly [number, number];
  /** Points at each side over which the pressure fades out. */
  readonly edge: number;
}

/** Kernels of some of the sources, for points within `reach` of the origin. */
type KernelOf = (sources: Sources, origin: readonly [number, number, number], reach: number) => RowKernel;

export class SpectrumLayers {
  readonly #lattice: Lattice;
  readonly #planes: readonly { plane: SourcePlane; spectrum: AngularSpectrum }[];

  constructor(sources: Sources, lattice: Lattice, planes: readonly SourcePlane[], kernelOf: KernelOf) {
    this.#lattice = lattice;
    this.#planes = planes.map((plane) => {
      const [rows, columns] = plane.shape;
      const pressure = pressureOn(plane, lattice, sourcesOf(sources, plane), kernelOf);
      return { plane, spectrum: new AngularSpectrum({ rows, columns, step: lattice.step }, pressure, sources) };
    });
  }

  /** The pressure on the lattice's points at height `z`, or its derivative by `axes` (0, 1, 2 for x, y, z): row by row, as long as the lattice's. */
  layer(z: number, axes: readonly number[]): ComplexArray {
    const [, rows, columns] = this.#lattice.shape;
    const re = new Float64Array(rows * columns);
    const im = new Float64Array(rows * columns);
    for (const { plane, spectrum } of this.#planes) {
      const wave = spectrum.at((z - plane.z) * plane.towards, axes);
      const upwards = axes.filter((axis) => axis === 2).length;
      const sign = plane.towards === 1 || upwards % 2 === 0 ? 1 : -1;
      for (let y = 0; y < rows; y++) {
        const from = (y + plane.before[0]) * wave.stride + plane.before[1];
        for (let x = 0; x < columns; x++) {
          re[y * columns + x]! += sign * wave.re[from + x]!;
          im[y * columns + x]! += sign * wave.im[from + x]!;
        }
      }
    }
    return { re, im };
  }
}

/** Those whose waves the plane takes: all behind it. */
function sourcesOf(sources: Sources, { z, towards }: SourcePlane): Sources {
  const { count } = sources;
  const behind = Array.from({ length: count }, (_, s) => s).filter(
    (s) => (z - sources.positions[2 * count + s]!) * towards > 0,
  );
  const ofEach = (values: Float64Array): Float64Array => Float64Array.from(behind, (s) => values[s]!);
  const vectors = (values: Float64Array): Float64Array =>
    Float64Array.from([0, 1, 2].flatMap((axis) => behind.map((s) => values[axis * count + s]!)));
  return {
    ...sources,
    count: behind.length,
    positions: vectors(sources.positions),
    normals: vectors(sources.normals),
    amplitudes: ofEach(sources.amplitudes),
    phases: ofEach(sources.phases),
  };
}

function pressureOn(
  { z, shape: [rows, columns], before, edge }: SourcePlane,
  { first, step }: Lattice,
  sources: Sources,
  kernelOf: KernelOf,
): ComplexArray {
  const [fromY, fromX] = [first[1] - before[0] * step, first[2] - before[1] * step];
  const half = [((columns - 1) * step) / 2, ((rows - 1) * step) / 2] as const;
  const kernel = kernelOf(sources, [fromX + half[0], fromY + half[1], z], Math.hypot(...half));
  kernel.setRow(Float64Array.from({ length: columns }, (_, x) => fromX + x * step));
  const re = new Float64Array(rows * columns);
  const im = new Float64Array(rows * columns);
  for (let y = 0; y < rows; y++) {
    const row = kernel.pressure(fromY + y * step, z);
    for (let x = 0; x < columns; x++) {
      const gain = fadeOf(y, rows, edge) * fadeOf(x, columns, edge);
      re[y * columns + x] = gain * row.re[x]!;
      im[y * columns + x] = gain * row.im[x]!;
    }
  }
  return { re, im };
}
