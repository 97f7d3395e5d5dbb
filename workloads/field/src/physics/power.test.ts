import { describe, expect, it } from 'vitest';
import { smallProblem } from '../job/testing.ts';
import { radiatedPower, thermalIndexOf } from './power.ts';
import { fullDrive } from './sources.ts';

const omnidirectional = smallProblem({
  array: { grid: { rows: 2, columns: 3 }, transducer: { directivity: 'Omnidirectional', pressureAt1m: '10Pa' } },
});

describe('radiated power', () => {
  it('of pistons that send alike in all directions is intensity times half a sphere', () => {
    const { emitters, medium } = omnidirectional;
    const expected = (6 * 2 * Math.PI * 10 ** 2) / (2 * medium.density * medium.soundSpeed);
    expect(radiatedPower(emitters, fullDrive(6), medium)).toBeCloseTo(expected, 9);
  });

  it('falls with the square of the drive, and dead elements give none', () => {
    const { emitters, medium } = omnidirectional;
    const whole = radiatedPower(emitters, fullDrive(6), medium);
    const half = { amplitudes: new Float64Array(6).fill(0.5), phases: new Float64Array(6) };
    expect(radiatedPower(emitters, half, medium)).toBeCloseTo(whole / 4, 12);
    const response = { amplitudes: Float64Array.of(1, 1, 1, 0, 0, 0), phases: new Float64Array(6) };
    expect(radiatedPower({ ...emitters, response }, fullDrive(6), medium)).toBeCloseTo(whole / 2, 12);
  });

  it('of a piston agrees with its radiation resistance', () => {
    // ka = 2: power = (ρc·S·|U|²/2)·R1(2ka) with R1(x) = 1 - 2·J1(x)/x and axial pressure ρ·c·k·a²·|U|/(2r).
    const ka = 2;
    const { emitters, medium } = omnidirectional;
    const radius = ka / emitters.wavenumber;
    const piston = { ...emitters, radius, pattern: { type: 'Piston' as const, ka } };
    const impedance = medium.density * medium.soundSpeed;
    const velocity = (2 * 10) / (impedance * emitters.wavenumber * radius ** 2);
    const j1of4 = -0.0660433280235491;
    const resistance = 1 - (2 * j1of4) / 4;
    const expected = 6 * ((impedance * Math.PI * radius ** 2 * velocity ** 2) / 2) * resistance;
    expect(radiatedPower(piston, fullDrive(6), medium) / expected).toBeCloseTo(1, 4);
  });

  it('of 210 mW at 1 MHz is a thermal index of 1', () => expect(thermalIndexOf(0.21, 1e6)).toBeCloseTo(1, 12));
});
