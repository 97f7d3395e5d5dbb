// Whether a volume is summed point by point, interpolated, or interpolated from the angular spectrum: by cost, and only after the
// error has been seen.
import { FieldError } from '../errors.ts';
import type { Sources } from '../physics/sources.ts';
import { trySpectrum } from '../spectrum/choose.ts';
import type { Volume } from '../volume/layout.ts';
import { costOf, costOfSource, designLattice, type Lattice } from './design.ts';
import { farPoints, interpolationError } from './measure.ts';

export interface Choice {
  readonly method: 'DirectSum' | 'Interpolated' | 'AngularSpectrum';
  readonly lattice?: Lattice;
  /** Largest error at the points looked at, over the largest pressure; of interpolation and angular spectrum alone. */
  readonly error?: number;
  /** Why it was chosen, where there was a choice. */
  readonly reason?: string;
}

/** What a source at a point costs with derivatives up to an order, over the pressure alone; from the second on in 64 bits. */
const costOfOrder = [1, 2.5, 60, 150] as const;

/**
 * @param tolerance largest error over the largest pressure.
 * @param largest largest pressure, Pa.
 * @param order of the pressure's derivatives that are summed.
 * @throws FieldError when interpolation or the angular spectrum is asked for and cannot keep the tolerance.
 */
export function chooseMethod(
  wanted: 'Auto' | 'DirectSum' | 'Interpolated' | 'AngularSpectrum',
  volume: Volume,
  sources: Sources,
  tolerance: number,
  largest: number,
  order: 0 | 1 | 2 | 3 = 0,
): Choice {
  if (wanted === 'DirectSum') return { method: 'DirectSum' };
  const question = { volume, sources, tolerance, largest, order };
  if (wanted === 'AngularSpectrum') {
    const found = trySpectrum(question);
    if (typeof found !== 'string') return { method: wanted, ...found, reason: 'asked for' };
    throw new FieldError('Unsupported', `no angular spectrum here: ${found}; use method Auto`, 'spec.method');
  }
  const chosen = chooseInterpolation(wanted, question);
  if (wanted === 'Interpolated') return chosen;
  const points = volume.shape.reduce((product, n) => product * n, 1);
  const summed = sources.count * costOfOrder[order];
  const direct = points * summed * costOfSource;
  const cost = chosen.lattice ? costOf(chosen.lattice, volume, summed) : direct;
  // Not for a little: what was computed before should not change for the sake of it.
  const spectrum = trySpectrum(question, cost / 2);
  if (typeof spectrum !== 'string') {
    return { method: 'AngularSpectrum', ...spectrum, reason: 'at most half the work of any other way' };
  }
  const than = chosen.lattice
    ? `${(direct / cost).toFixed(1)} times less work than the direct sum`
    : 'no other way is cheaper';
  return { ...chosen, reason: `${than}; no angular spectrum: ${spectrum}` };
}

function chooseInterpolation(
  wanted: 'Auto' | 'Interpolated',
  { volume, sources, tolerance, largest, order }: Parameters<typeof trySpectrum>[0],
): Choice {
  const wavelength = (2 * Math.PI) / sources.wavenumber;
  // Whole rows are interpolated at once.
  const possible = volume.chunk[2] === volume.shape[2];
  for (const share of possible ? [1, 0.3, 0.1, 0.03] : []) {
    const lattice = designLattice(volume, wavelength, sources.count * costOfOrder[order], tolerance * share);
    if (!lattice) break;
    const points = farPoints(volume, lattice, wavelength, sources);
    if (points.length === 0) break;
    const error = interpolationError(volume, lattice, wavelength, sources, points) / largest;
    if (error <= tolerance / 3) return { method: 'Interpolated', lattice, error };
  }
  if (wanted === 'Auto') return { method: 'DirectSum' };
  throw new FieldError(
    'Unsupported',
    `no interpolation within tolerance ${tolerance} is cheaper than the direct sum here: use method Auto`,
    'spec.method',
  );
}
