// Quantities: what is read, to which SI number, and what is refused with which words.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as quantities from './quantities.ts';

const cases: readonly (readonly [(value: string) => number, string, number])[] = [
  [quantities.parseLength, '10.5mm', 0.0105],
  [quantities.parseLength, '-3um', -3e-6],
  [quantities.parseLength, '1.05cm', 0.0105],
  [quantities.parseLength, '2m', 2],
  [quantities.parseFrequency, '40kHz', 40_000],
  [quantities.parseFrequency, '0.04MHz', 40_000],
  [quantities.parsePressure, '6kPa', 6000],
  [quantities.parsePressure, '8000mPa', 8],
  [quantities.parseIntensity, '10kW/m2', 10_000],
  [quantities.parseIntensity, '1W/cm2', 10_000],
  [quantities.parseIntensity, '100mW/cm2', 1000],
  [quantities.parseTemperature, '25C', 298.15],
  [quantities.parseTemperature, '-10.5C', 262.65],
  [quantities.parseTemperature, '298K', 298],
  [quantities.parseSpeed, '343m/s', 343],
  [quantities.parseAcceleration, '2m/s2', 2],
  [quantities.parseDensity, '0.029g/cm3', 29],
  [quantities.parseAngle, '180deg', Math.PI],
  [quantities.parseAttenuation, '1.3dB/m', 1.3],
  [quantities.parseDuration, '10m', 600],
  [quantities.parseDuration, '1h30m', 5400],
  [quantities.parseDuration, '1s500ms', 1.5],
  [quantities.parsePercentage, '20%', 0.2],
  [quantities.parsePercentage, '99.9%', 0.999],
  [quantities.parseDecimal, '0.001', 0.001],
  [quantities.parseDecimal, '1e-3', 0.001],
  [quantities.parseKubernetesQuantity, '500m', 0.5],
  [quantities.parseKubernetesQuantity, '2', 2],
  [quantities.parseKubernetesQuantity, '1e3', 1000],
  [quantities.parseKubernetesQuantity, '1.5Gi', 1_610_612_736],
  [quantities.parseBytes, '256Mi', 268_435_456],
  [quantities.parseBytes, '1k', 1000],
];

test.each(cases)('%o reads %s as %d', (parse, value, expected) => {
  expect(parse(value)).toBeCloseTo(expected, 12);
});

test('a decimal of a unit is divided, not multiplied by a fraction that has no exact form', () => {
  expect(quantities.parseLength('10.5mm')).toBe(0.0105);
});

const refused: readonly (readonly [(value: string) => number, string, string])[] = [
  [quantities.parseLength, '10.5', '"10.5" is not a length: a number with um, mm, cm, m, such as 10.5mm'],
  [quantities.parseLength, '1 mm', '"1 mm" is not a length: a number with um, mm, cm, m, such as 10.5mm'],
  [quantities.parseLength, 'NaNmm', '"NaNmm" is not a length: a number with um, mm, cm, m, such as 10.5mm'],
  [quantities.parseLength, '10.5mm\n', '"10.5mm\\n" is not a length: a number with um, mm, cm, m, such as 10.5mm'],
  [
    quantities.parseIntensity,
    '1W',
    '"1W" is not an intensity: a number with W/m2, kW/m2, mW/cm2, W/cm2, such as 10kW/m2',
  ],
  [
    quantities.parseTemperature,
    '-300C',
    '"-300C" is not a temperature above absolute zero: a number with C or K, such as 25C',
  ],
  [quantities.parseDuration, '2d', '"2d" is not a duration: whole numbers with h, m, s or ms, such as 10m or 1h30m'],
  [quantities.parsePercentage, '101%', '"101%" is not a percentage: a number from 0 to 100 with %, such as 20%'],
  [
    quantities.parseDecimal,
    'Infinity',
    '"Infinity" is not a decimal number: digits in quotes, such as "0.001" or "1e-3"',
  ],
  [
    quantities.parseBytes,
    '500m',
    '"500m" is not an amount of bytes: a number with k, M, G, T, Ki, Mi, Gi, Ti or none, such as 256Mi',
  ],
];

test.each(refused)('%o refuses %s by name, with the units it takes', (parse, value, message) => {
  expect(() => parse(value)).toThrow(quantities.QuantityError);
  expect(() => parse(value)).toThrow(message);
});

describe.each(Object.values(quantities.dimensions))('a $name', (dimension) => {
  const matches = (sign: quantities.Sign, value: string) =>
    new RegExp(quantities.patternOf(dimension, sign)).test(value);
  const [unit = ''] = Object.keys(dimension.units);
  const plainNumber = fc.double({ min: -1e6, max: 1e6, noNaN: true }).map((value) => value.toFixed(6));

  test('is taken by a pattern exactly as its sign allows', () => {
    fc.assert(
      fc.property(plainNumber, (number) => {
        const value = Number(number);
        const negative = number.startsWith('-');
        expect(matches('Signed', number + unit)).toBe(true);
        expect(matches('NonNegative', number + unit)).toBe(!negative);
        expect(matches('Positive', number + unit)).toBe(value > 0);
      }),
    );
  });

  test('is taken in no unit of another kind', () => {
    expect(matches('Signed', '1')).toBe(false);
    expect(matches('Signed', '1parsec')).toBe(false);
  });
});
