// Whether the angular spectrum keeps a volume's tolerance, and with which planes: told by what it gives.
import { FieldError } from '../errors.ts';
import { designLattice, type Lattice } from '../interpolation/design.ts';
import { farPoints, fraction, interpolationError } from '../interpolation/measure.ts';
import { checkedKernel } from '../kernel/selfcheck.ts';
import { derivativeCounts } from '../physics/derivatives.ts';
import { gradientAt } from '../physics/reference.ts';
import type { Sources } from '../physics/sources.ts';
import type { Volume } from '../volume/layout.ts';
import { costOfSpectrum, designPlanes, fades } from './design.ts';
import { type SourcePlane, SpectrumLayers } from './layers.ts';

interface Question {
  readonly volume: Volume;
  readonly sources: Sources;
  /** Largest error over the largest pressure. */
  readonly tolerance: number;
  /** Largest pressure, Pa. */
  readonly largest: number;
  /** Of the pressure's derivatives that are computed. */
  readonly order: 0 | 1 | 2 | 3;
}

const checkedLayers = 4;
const checkedPoints = 12;

/**
 * The lattice whose layers keep half the tolerance when they come from planes, or why there is none. The error is that of the
 * interpolation and that of the layers, each the largest seen.
 * @param most seconds of one thread that it may cost.
 */
export function trySpectrum(
  { volume, sources, tolerance, largest, order }: Question,
  most = Infinity,
): { lattice: Lattice; error: number } | string {
  const wavelength = (2 * Math.PI) / sources.wavenumber;
  // Whole rows are interpolated at once.
  if (volume.chunk[2] !== volume.shape[2]) return 'rows of the volume are too long';
  let seen = Infinity;
  for (const share of [1, 0.3, 0.1]) {
    // Transforms cost the same for any number of sources: the coarsest lattice is the cheapest.
    const coarse = designLattice(volume, wavelength, 1e12, (tolerance / 4) * share, Infinity);
    if (!coarse) return 'the points of the volume are as far apart as those of a lattice would be';
    let interpolated: number | undefined;
    for (const fade of fades) {
      const planes = designPlanes(coarse, sources, wavelength, fade);
      if (typeof planes === 'string') return planes;
      if (planes.length === 0) return 'nothing sounds';
      if (costOfSpectrum(coarse, planes, volume, sources, derivativeCounts[order]) > most) {
        return seen === Infinity ? 'its transforms would cost more' : farOff(seen);
      }
      const lattice = { ...coarse, planes };
      if (interpolated === undefined) {
        const points = farPoints(volume, coarse, wavelength, sources);
        if (points.length === 0) return 'all of the volume is near an element';
        interpolated = interpolationError(volume, coarse, wavelength, sources, points) / largest;
        if (interpolated > tolerance / 4) break;
      }
      const before = seen;
      const off = layerError(lattice, planes, sources, order);
      if (typeof off === 'string') return off;
      const error = interpolated + off / largest;
      seen = Math.min(seen, error);
      if (error <= tolerance / 2) return { lattice, error };
      // A wider fade no longer helps where the sources themselves are no waves.
      if (error > 0.7 * before) return farOff(seen);
    }
  }
  return farOff(seen);
}

function farOff(error: number): string {
  const digits = Number.isFinite(error) ? `would be ${error.toPrecision(2)} of the largest pressure` : 'is too large';
  return `its error ${digits} (patterns other than Omnidirectional solve the wave equation only far away)`;
}

/**
 * Pa: the largest error of the layers at some points of them; that of the gradient over the wavenumber, where derivatives are
 * needed. What the kernel says where it cannot sum the planes.
 */
function layerError(
  lattice: Lattice,
  planes: readonly SourcePlane[],
  sources: Sources,
  order: number,
): number | string {
  let layers: SpectrumLayers;
  try {
    layers = new SpectrumLayers(sources, lattice, planes, checkedKernel);
  } catch (error) {
    // So wide a plane may be beyond a kernel that does for the volume.
    if (error instanceof FieldError && error.reason === 'KernelRefused') return error.message;
    throw error;
  }
  const [count, rows, columns] = lattice.shape;
  const [firstZ, firstY, firstX] = lattice.first;
  const truth = new Float64Array(8);
  let worst = 0;
  const checked = Math.min(count, checkedLayers);
  for (let n = 0; n < checked; n++) {
    const z = firstZ + Math.round(((count - 1) * n) / Math.max(1, checked - 1)) * lattice.step;
    for (const axes of order === 0 ? [[]] : [[], [0], [1], [2]]) {
      const { re, im } = layers.layer(z, axes);
      const at = axes.length === 0 ? 0 : 2 + 2 * axes[0]!;
      const scale = axes.length === 0 ? 1 : 1 / sources.wavenumber;
      for (let i = 1; i <= checkedPoints; i++) {
        const y = Math.floor(rows * fraction(i * 0.7548776662466927 + n * 0.31));
        const x = Math.floor(columns * fraction(i * 0.5698402909980532 + n * 0.17));
        gradientAt(sources, firstX + x * lattice.step, firstY + y * lattice.step, z, truth);
        const place = y * columns + x;
        worst = Math.max(worst, scale * Math.hypot(re[place]! - truth[at]!, im[place]! - truth[at + 1]!));
      }
    }
  }
  return worst;
}
