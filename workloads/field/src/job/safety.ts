// Limits on the field, and where it stands against them.
import { FieldError } from '../errors.ts';
import type { Medium } from '../physics/medium.ts';
import { radiatedPower, thermalIndexOf } from '../physics/power.ts';
import type { Drive } from '../physics/sources.ts';
import type { Scene } from './scene.ts';
import { formatIntensity, formatPressure } from './units.ts';

export interface SafetyLimits {
  readonly action: 'Refuse' | 'Clamp';
  /** Pa, peak */
  readonly maxPressure?: number;
  /** W/m² */
  readonly maxIntensity?: number;
  readonly maxMechanicalIndex?: number;
  readonly maxThermalIndex?: number;
  readonly zones: readonly Zone[];
}

export interface Zone {
  readonly name: string;
  /** x, y, z */
  readonly center: readonly [number, number, number];
  readonly radius: number;
  readonly maxPressure: number;
}

/** Largest pressures found: anywhere, and in each zone. Pa. */
export interface Maxima {
  readonly anywhere: number;
  readonly zones: Readonly<Record<string, number>>;
  /** Of the drive; where it is limited. */
  readonly thermalIndex?: number;
}

export interface Verdict {
  readonly verdict: 'Safe' | 'Clamped' | 'Refused' | 'NotLimited';
  /** What the drive must be multiplied by to keep every limit; 1 when all are kept. */
  readonly factor: number;
  /** Smallest distance to a limit over the limit; negative when one is broken. */
  readonly margin: number | undefined;
  readonly message: string | undefined;
  /** Field of the limit that is broken. */
  readonly field?: string;
}

/** Plane-wave intensity of a peak pressure, W/m²: an upper bound of the active intensity in any field. */
export function intensityOf(pressure: number, medium: Medium): number {
  return pressure ** 2 / (2 * medium.density * medium.soundSpeed);
}

/** Peak pressure in MPa over the square root of the frequency in MHz. */
export function mechanicalIndexOf(pressure: number, frequency: number): number {
  return pressure / 1e6 / Math.sqrt(frequency / 1e6);
}

/** The thermal index of a drive, where the limits ask for it. */
export function thermalIndexIn(
  { emitters, medium, frequency, safety }: Pick<Scene, 'emitters' | 'medium' | 'frequency' | 'safety'>,
  drive: Drive,
): { thermalIndex?: number } {
  if (safety.maxThermalIndex === undefined) return {};
  return { thermalIndex: thermalIndexOf(radiatedPower(emitters, drive, medium), frequency) };
}

/** Each limit as a largest pressure: all of them are monotonous in it. @throws FieldError for what is no number to judge. */
export function judge(limits: SafetyLimits, maxima: Maxima, medium: Medium, frequency: number): Verdict {
  const wrong = [maxima.anywhere, maxima.thermalIndex ?? 0, ...Object.values(maxima.zones)].find(
    (each) => !Number.isFinite(each),
  );
  if (wrong !== undefined) {
    throw new FieldError('SafetyLimitExceeded', `a largest pressure of ${wrong} cannot be judged`, 'spec.targets');
  }
  const bounds = boundsOf(limits, maxima, medium, frequency);
  if (bounds.length === 0) return { verdict: 'NotLimited', factor: 1, margin: undefined, message: undefined };
  const tightest = bounds.reduce((a, b) => (a.reached / a.limit >= b.reached / b.limit ? a : b));
  const margin = 1 - tightest.reached / tightest.limit;
  if (margin >= 0) return { verdict: 'Safe', factor: 1, margin, message: undefined };
  return {
    verdict: limits.action === 'Clamp' ? 'Clamped' : 'Refused',
    factor: tightest.limit / tightest.reached,
    margin,
    message: `${tightest.what} would reach ${tightest.text(tightest.reached)}, over the limit of ${tightest.text(tightest.limit)}`,
    field: tightest.field,
  };
}

interface Bound {
  what: string;
  field: string;
  /** As pressures, or what grows as they do. */
  reached: number;
  limit: number;
  text(pressure: number): string;
}

function boundsOf(limits: SafetyLimits, maxima: Maxima, medium: Medium, frequency: number): Bound[] {
  const { maxPressure, maxIntensity, maxMechanicalIndex, maxThermalIndex, zones } = limits;
  const reached = maxima.anywhere;
  const bounds: Bound[] = [];
  if (maxPressure !== undefined) {
    bounds.push({
      what: 'pressure',
      field: 'spec.safety.maxPressure',
      reached,
      limit: maxPressure,
      text: formatPressure,
    });
  }
  if (maxIntensity !== undefined) {
    const limit = Math.sqrt(maxIntensity * 2 * medium.density * medium.soundSpeed);
    const text = (pressure: number): string => formatIntensity(intensityOf(pressure, medium));
    bounds.push({ what: 'intensity', field: 'spec.safety.maxIntensity', reached, limit, text });
  }
  if (maxMechanicalIndex !== undefined) {
    const limit = maxMechanicalIndex * 1e6 * Math.sqrt(frequency / 1e6);
    const text = (pressure: number): string => mechanicalIndexOf(pressure, frequency).toPrecision(3);
    bounds.push({ what: 'mechanical index', field: 'spec.safety.maxMechanicalIndex', reached, limit, text });
  }
  if (maxThermalIndex !== undefined) {
    // As the square of pressure, like every power.
    bounds.push({
      what: 'thermal index',
      field: 'spec.safety.maxThermalIndex',
      reached: Math.sqrt(maxima.thermalIndex ?? 0),
      limit: Math.sqrt(maxThermalIndex),
      text: (root) => (root ** 2).toPrecision(3),
    });
  }
  for (const zone of zones) {
    bounds.push({
      what: `pressure in zone ${zone.name}`,
      field: 'spec.safety.zones',
      reached: maxima.zones[zone.name] ?? 0,
      limit: zone.maxPressure,
      text: formatPressure,
    });
  }
  return bounds;
}
