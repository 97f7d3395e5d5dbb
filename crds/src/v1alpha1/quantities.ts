// Physical and Kubernetes quantities: strings with a unit, checked by a pattern at the API server and parsed to SI numbers here.

/** Which numbers a quantity takes: `Positive` refuses zero, `NonNegative` takes it, `Signed` takes a leading minus too. */
export type Sign = 'Positive' | 'NonNegative' | 'Signed';

/** One dimension: its units with their factors to SI, and an example for messages. */
export interface Dimension {
  readonly name: string;
  readonly units: Readonly<Record<string, number>>;
  readonly example: string;
}

export const dimensions = {
  length: { name: 'length', units: { um: 1e-6, mm: 1e-3, cm: 1e-2, m: 1 }, example: '10.5mm' },
  frequency: { name: 'frequency', units: { Hz: 1, kHz: 1e3, MHz: 1e6 }, example: '40kHz' },
  pressure: { name: 'pressure', units: { mPa: 1e-3, Pa: 1, kPa: 1e3, MPa: 1e6 }, example: '6kPa' },
  intensity: {
    name: 'intensity',
    units: { 'W/m2': 1, 'kW/m2': 1e3, 'mW/cm2': 10, 'W/cm2': 1e4 },
    example: '10kW/m2',
  },
  speed: { name: 'speed', units: { 'mm/s': 1e-3, 'm/s': 1 }, example: '343m/s' },
  acceleration: { name: 'acceleration', units: { 'mm/s2': 1e-3, 'm/s2': 1 }, example: '2m/s2' },
  density: { name: 'density', units: { 'kg/m3': 1, 'g/cm3': 1e3 }, example: '29kg/m3' },
  angle: { name: 'angle', units: { deg: Math.PI / 180, rad: 1 }, example: '30deg' },
  attenuation: { name: 'attenuation', units: { 'dB/m': 1 }, example: '1.3dB/m' },
} as const satisfies Record<string, Dimension>;

/** A value that is no quantity of the kind asked for; the message names the value and the accepted units. */
export class QuantityError extends Error {
  readonly value: string;
  constructor(value: string, what: string, accepted: string) {
    super(`${JSON.stringify(value)} is not ${what}: ${accepted}`);
    this.name = 'QuantityError';
    this.value = value;
  }
}

/** RE2 pattern of a dimension's values, the same text for zod and for the API server. */
export function patternOf(dimension: Dimension, sign: Sign): string {
  return `^${numberPattern(sign)}(${Object.keys(dimension.units).join('|')})$`;
}

/** Metres. */
export const parseLength = (value: string): number => parseDimension(dimensions.length, value);
/** Hertz. */
export const parseFrequency = (value: string): number => parseDimension(dimensions.frequency, value);
/** Pascals. */
export const parsePressure = (value: string): number => parseDimension(dimensions.pressure, value);
/** Watts per square metre. */
export const parseIntensity = (value: string): number => parseDimension(dimensions.intensity, value);
/** Metres per second. */
export const parseSpeed = (value: string): number => parseDimension(dimensions.speed, value);
/** Metres per second squared. */
export const parseAcceleration = (value: string): number => parseDimension(dimensions.acceleration, value);
/** Kilograms per cubic metre. */
export const parseDensity = (value: string): number => parseDimension(dimensions.density, value);
/** Radians. */
export const parseAngle = (value: string): number => parseDimension(dimensions.angle, value);
/** Decibels per metre. */
export const parseAttenuation = (value: string): number => parseDimension(dimensions.attenuation, value);

/** Kelvin, from degrees Celsius (`25C`) or kelvin (`298K`). */
export function parseTemperature(value: string): number {
  const match = new RegExp(temperaturePattern).exec(value);
  const kelvin = match ? Number.parseFloat(value) + (value.endsWith('C') ? 273.15 : 0) : Number.NaN;
  if (!(kelvin > 0))
    throw new QuantityError(value, 'a temperature above absolute zero', 'a number with C or K, such as 25C');
  return kelvin;
}
export const temperaturePattern = `^${numberPattern('Signed')}(C|K)$`;

/** Seconds, from a duration as in the Gateway API (GEP-2257): at most four parts of h, m, s, ms. */
export function parseDuration(value: string): number {
  if (!new RegExp(durationPattern).test(value)) {
    throw new QuantityError(value, 'a duration', 'whole numbers with h, m, s or ms, such as 10m or 1h30m');
  }
  let seconds = 0;
  for (const [, amount, unit] of value.matchAll(/([0-9]+)(ms|h|m|s)/g)) {
    seconds += Number(amount) * (durationUnits[unit as keyof typeof durationUnits] ?? Number.NaN);
  }
  return seconds;
}
export const durationPattern = '^([0-9]{1,5}(h|ms|m|s)){1,4}$';
const durationUnits = { h: 3600, m: 60, s: 1, ms: 1e-3 } as const;

/** A fraction in 0…1 from `0%`…`100%`. */
export function parsePercentage(value: string): number {
  if (!new RegExp(percentagePattern).test(value)) {
    throw new QuantityError(value, 'a percentage', 'a number from 0 to 100 with %, such as 20%');
  }
  return Number.parseFloat(value) / 100;
}
export const percentagePattern = '^(100|[0-9]{1,2}(\\.[0-9]{1,4})?)%$';

/** A plain decimal that is kept as a string, such as `0.001` or `1e-3`. */
export function parseDecimal(value: string): number {
  if (!new RegExp(decimalPattern('Signed')).test(value)) {
    throw new QuantityError(value, 'a decimal number', 'digits in quotes, such as "0.001" or "1e-3"');
  }
  return Number(value);
}
export const decimalPattern = (sign: Sign): string => `^${numberPattern(sign)}([eE]-?[0-9]{1,2})?$`;

/** A Kubernetes quantity in its base unit: cores of `500m` (0.5), bytes of `256Mi` (268435456), counts of `4`. */
export function parseKubernetesQuantity(value: string | number): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  const match = new RegExp(kubernetesQuantityPattern).exec(String(value));
  if (!match) {
    throw new QuantityError(
      String(value),
      'a Kubernetes quantity',
      'a number with m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or none, such as 500m or 256Mi',
    );
  }
  const [, digits = '', , suffix = ''] = match;
  if (/^[eE][0-9]/.test(suffix)) return Number(`${digits}${suffix}`);
  return Number(digits) * (kubernetesSuffixes[suffix] ?? Number.NaN);
}
export const kubernetesQuantityPattern = '^([0-9]+(\\.[0-9]+)?)(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei|[eE][0-9]{1,2})?$';

/** Whole bytes of a Kubernetes quantity such as `256Mi`; a fraction of a byte is refused. */
export function parseBytes(value: string | number): number {
  const bytes = typeof value === 'string' && value.endsWith('m') ? Number.NaN : parseKubernetesQuantity(value);
  if (!Number.isFinite(bytes)) {
    throw new QuantityError(
      String(value),
      'an amount of bytes',
      'a number with k, M, G, T, Ki, Mi, Gi, Ti or none, such as 256Mi',
    );
  }
  return Math.ceil(bytes);
}
export const bytesPattern = `^${numberPattern('Positive')}(k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$`;

const kubernetesSuffixes: Readonly<Record<string, number>> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

function parseDimension(dimension: Dimension, value: string): number {
  const match = new RegExp(patternOf(dimension, 'Signed')).exec(value);
  const unit = match?.at(-1);
  const factor = unit === undefined ? undefined : dimension.units[unit];
  if (factor === undefined) {
    const article = /^[aei]/.test(dimension.name) ? 'an' : 'a';
    const accepted = `a number with ${Object.keys(dimension.units).join(', ')}, such as ${dimension.example}`;
    throw new QuantityError(value, `${article} ${dimension.name}`, accepted);
  }
  return toSi(Number.parseFloat(value), factor);
}

/** Divides by whole powers of ten where the factor is a fraction, so that 10.5mm is 0.0105 and not 0.010499999999999999. */
function toSi(amount: number, factor: number): number {
  const inverse = Math.round(1 / factor);
  return factor < 1 && Math.abs(inverse * factor - 1) < 1e-12 ? amount / inverse : amount * factor;
}

function numberPattern(sign: Sign): string {
  if (sign === 'Positive') return '(0*[1-9][0-9]*(\\.[0-9]+)?|0+\\.0*[1-9][0-9]*)';
  return `${sign === 'Signed' ? '-?' : ''}[0-9]+(\\.[0-9]+)?`;
}
