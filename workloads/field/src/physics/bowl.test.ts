import { describe, expect, it } from 'vitest';
import { smallProblem } from '../job/testing.ts';
import { solve } from '../solver/solve.ts';
import { radiatedPower } from './power.ts';
import { pressureAt } from './reference.ts';
import { drivenSources, fullDrive } from './sources.ts';

const water = {
  medium: { type: 'Custom', custom: { soundSpeed: '1500m/s', density: '1000kg/m3', absorption: '0dB/m' } },
};
const bowl = { radius: 0.02, focalLength: 0.05 };
const focused = (changes: Record<string, unknown> = {}) =>
  smallProblem({
    ...water,
    array: {
      grid: { rows: 1, columns: 1 },
      transducer: {
        frequency: '500kHz',
        radius: '20mm',
        directivity: 'Focused',
        focused: { focalLength: '50mm' },
        pressureAt1m: '10kPa',
      },
    },
    targets: [{ name: 'focus', position: ['0mm', '0mm', '50mm'] }],
    volume: { center: ['0mm', '0mm', '60mm'], size: ['10mm', '10mm', '20mm'], spacing: '1mm' },
    ...changes,
  });

/** On the axis of a bowl in a baffle. (O'Neil 1949, eq. 3.0.) */
function oNeil(z: number, k: number): number {
  const depth = bowl.focalLength - Math.sqrt(bowl.focalLength ** 2 - bowl.radius ** 2);
  const rim = Math.hypot(z - depth, bowl.radius);
  const off = 1 - z / bowl.focalLength;
  return Math.abs(off) < 1e-9 ? k * depth : Math.abs((2 * Math.sin((k * (rim - z)) / 2)) / off);
}

describe('a focused element', () => {
  const { emitters, medium } = focused();
  const sources = drivenSources(emitters, fullDrive(1));
  const at = (x: number, z: number): number => {
    const value = new Float64Array(2);
    pressureAt(sources, x, 0, z, value);
    return Math.hypot(value[0]!, value[1]!);
  };

  it('is heard on its axis as the analytic bowl: before the focus, in it and behind', () => {
    const k = emitters.wavenumber;
    expect(at(0, 1)).toBeCloseTo(10e3, 3);
    for (const z of [0.03, 0.035, 0.045, 0.05, 0.055, 0.08, 0.2]) {
      expect(at(0, z) / 10e3).toBeCloseTo(oNeil(z, k) / oNeil(1, k), 3);
    }
  });

  it('is loudest in its focus, and as wide there as the diffraction of its rim says', () => {
    // 2·J1(x)/x with x = k·a·r/F is half at x = 2.215.
    const half = (2.215 * bowl.focalLength) / (emitters.wavenumber * bowl.radius);
    expect(at(half, 0.05) / at(0, 0.05)).toBeCloseTo(0.5, 1);
    expect(at(0, 0.05)).toBeGreaterThan(4 * at(0, 0.1));
  });

  it('is one element to the solver, and its points turn as one', () => {
    const two = focused({
      array: {
        grid: { rows: 2, columns: 2, pitch: '45mm' },
        transducer: { frequency: '500kHz', radius: '20mm', directivity: 'Focused', focused: { focalLength: '80mm' } },
      },
    });
    const { drive, focal } = solve(two.emitters, two.targets, { ...two.solver, phaseLevels: 0 });
    expect(drive.phases).toHaveLength(4);
    const value = new Float64Array(2);
    pressureAt(drivenSources(two.emitters, drive), 0, 0, 0.05, value);
    expect(Math.hypot(value[0]!, value[1]!) / focal[0]!).toBeCloseTo(1, 9);
  });

  it('radiates what goes through its surface, for it is many wavelengths wide', () => {
    const impedance = medium.density * medium.soundSpeed;
    const velocity = 10e3 / (impedance * oNeil(1, emitters.wavenumber));
    const depth = bowl.focalLength - Math.sqrt(bowl.focalLength ** 2 - bowl.radius ** 2);
    const expected = (impedance * velocity ** 2 * 2 * Math.PI * bowl.focalLength * depth) / 2;
    expect(radiatedPower(emitters, fullDrive(1), medium) / expected).toBeCloseTo(1, 1);
  });
});
