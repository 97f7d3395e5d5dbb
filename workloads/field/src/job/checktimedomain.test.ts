import { describe, expect, it } from 'vitest';
import { drivenSources, fullDrive } from '../physics/sources.ts';
import { placeIn } from '../timedomain/domain.ts';
import type { MediumMap } from '../timedomain/medium.ts';
import { Simulation } from '../timedomain/simulation.ts';
import { margin } from '../timedomain/source.ts';
import { check } from './check.ts';
import { describeSimulation } from './checktimedomain.ts';
import type { Problem } from './problem.ts';
import { smallProblem } from './testing.ts';
import { mostCourant, simulationOf, type Timed } from './timedomain.ts';

const volume = { center: ['0mm', '0mm', '12mm'], size: ['6mm', '6mm', '6mm'], spacing: '1.5mm' };
const timed = (settings: Record<string, unknown> = {}, changes: Record<string, unknown> = {}): Problem =>
  smallProblem({
    array: { grid: { rows: 1, columns: 1 }, transducer: { radius: '1.5mm', directivity: 'Omnidirectional' } },
    targets: [{ name: 'tip', position: ['0mm', '0mm', '12mm'] }],
    volume,
    method: 'TimeDomain',
    timeDomain: { cycles: 8, cfl: '0.3', absorbingLayer: 8, ...settings },
    ...changes,
  });
const withMap = (problem: Problem, map: Partial<Record<keyof MediumMap, number>>): Problem => {
  const points = problem.volume.shape.reduce((product, n) => product * n, 1);
  const { soundSpeed, density } = { ...problem.medium, ...map };
  return {
    ...problem,
    timeDomain: {
      ...problem.timeDomain!,
      map: {
        soundSpeed: new Float32Array(points).fill(soundSpeed),
        density: new Float32Array(points).fill(density),
      },
    },
  };
};
const body = (soundSpeed: string, density: string, place: Record<string, unknown>) => ({
  regions: [{ name: 'body', soundSpeed, density, ...place }],
});
const air = timed().medium;
const airDensity = `${air.density}kg/m3`;
const ball = { center: ['0mm', '0mm', '12mm'], radius: '3mm' };

describe('a problem in time', () => {
  it('needs the periods that sound takes through what is slower than the medium', () => {
    const refused = expect.objectContaining({ field: 'spec.timeDomain.cycles' });
    const slow = (cycles: number): Problem => timed({ cycles, ...body('100m/s', airDensity, ball) });
    expect(check(timed())).toEqual([]);
    expect(() => check(slow(8))).toThrow(refused);
    expect(() => check(slow(12))).not.toThrow();
    const short = timed({ cycles: 7, pointsPerWavelength: 4 });
    expect(() => check(withMap(short, { soundSpeed: 250 }))).toThrow(refused);
    expect(() => check(withMap(short, {}))).not.toThrow();
  });

  it('is held to the Courant number of mixed media where a map of one density lies in a medium of another', () => {
    const refused = expect.objectContaining({ field: 'spec.timeDomain.cfl' });
    expect(() => check(withMap(timed({ cfl: '1' }), { density: 60 }))).toThrow(refused);
    expect(() => check(withMap(timed({ cfl: '1' }), {}))).not.toThrow();
  });

  it.each([
    ['a drop in air', {}, body('1480m/s', '998kg/m3', ball)],
    ['a bubble in water', { medium: { type: 'Water' } }, body('343m/s', '1.2kg/m3', ball)],
  ])('is refused where densities are so far apart that it might run away: %s', (_, changes, settings) => {
    const cfl = (value: string): Problem => timed({ ...settings, cycles: 60, cfl: value }, changes);
    expect(() => check(cfl('0.1'))).toThrow(
      expect.objectContaining({
        reason: 'InvalidResource',
        field: 'spec.timeDomain.cfl',
        message: expect.stringMatching(/8[34]\d times apart the simulation may run away above 0.012\d$/) as string,
      }),
    );
    expect(() => check(cfl('0.0126'))).not.toThrow();
    const farther = timed({ ...body('343m/s', '0.1kg/m3', ball), cfl: '0.01' }, { medium: { type: 'Water' } });
    expect(() => check(farther)).toThrow(
      expect.objectContaining({ reason: 'InvalidMedium', field: 'spec.timeDomain.regions' }),
    );
  });

  it.each([
    ['a drop in air', { medium: [343, 1.2], body: [1480, 998] }],
    ['a bubble in water', { medium: [1480, 998], body: [343, 1.2] }],
  ] as const)('holds at the Courant number that is left, and runs away at that of nearer densities: %s', (_, two) => {
    const growth = (cfl: number): number => {
      const inside = (i: number): boolean =>
        Math.hypot((i % 8) - 4, (Math.floor(i / 8) % 8) - 4, Math.floor(i / 64) - 4) < 2.5;
      const of = (which: 0 | 1): Float64Array =>
        Float64Array.from({ length: 512 }, (__, i) => (inside(i) ? two.body : two.medium)[which]);
      const simulation = new Simulation({
        shape: [8, 8, 8],
        step: 1e-3,
        timeStep: (cfl * 1e-3) / 1480,
        soundSpeed: of(0),
        exactSpeed: two.medium[0],
        density: of(1),
        layers: [0, 0, 0],
      });
      simulation.start(Float64Array.from({ length: 512 }, (__, i) => Math.sin(i * i)));
      const before = simulation.energy();
      for (let n = 0; n < 60; n++) simulation.advance();
      return simulation.energy() / before;
    };
    expect(growth(mostCourant(998 / 1.2))).toBeLessThan(1.1);
    expect(growth(mostCourant(100) - 0.04)).toBeGreaterThan(1000);
  });

  it('has room for all of a tilted bowl', () => {
    const problem = timed() as Timed;
    const emitters: Timed['emitters'] = {
      ...problem.emitters,
      elements: {
        count: 1,
        positions: Float64Array.of(0, 0, 0),
        normals: Float64Array.of(Math.SQRT1_2, 0, Math.SQRT1_2),
      },
      wavenumber: 100,
      radius: 24e-3,
      pattern: { type: 'Focused', focalLength: 24e-3 },
    };
    const { domain } = simulationOf({ ...problem, emitters });
    const { positions, count } = drivenSources(emitters, fullDrive(1));
    for (let s = 0; s < count; s++) {
      const place = placeIn(
        domain,
        problem.volume,
        [0, 1, 2].map((axis) => positions[axis * count + s]!),
      );
      place.forEach((at, axis) => {
        expect(at).toBeGreaterThanOrEqual(domain.layer + margin);
        expect(at).toBeLessThanOrEqual(domain.shape[axis]! - 1 - domain.layer - margin);
      });
    }
  });

  it('is refused where another medium touches the edge of an element', () => {
    const refused = (field: string) => expect.objectContaining({ reason: 'InvalidMedium', field });
    const beside = { center: ['9mm', '0mm', '0mm'], radius: '4mm' };
    expect(() => check(timed(body('500m/s', airDensity, beside)))).toThrow(refused('spec.timeDomain.regions[0]'));
    const around = timed({}, { volume: { ...volume, center: ['0mm', '0mm', '3mm'] } });
    expect(() => check(withMap(around, { density: 60 }))).toThrow(refused('spec.timeDomain.mediumMap'));
    expect(() => check(withMap(around, {}))).not.toThrow();
  });

  it('is warned of phases that run off in other media', () => {
    const warning = expect.stringMatching(/phases behind other media are up to [\d.]+° off/);
    const hard = (cfl: string): string[] => check(timed({ cfl, ...body('250m/s', airDensity, ball) }));
    expect(hard('0.8')).toContainEqual(warning);
    expect(hard('0.05')).not.toContainEqual(warning);
    expect(check(timed())).not.toContainEqual(warning);
  });

  it('takes steps in time short enough to be exact for the medium where sound is faster elsewhere', () => {
    const perPeriod = (problem: Problem): number => {
      const { timeStep, domain } = simulationOf(problem as Timed);
      return 5900 * (timeStep / domain.step);
    };
    expect(perPeriod(timed({ cfl: '1', ...body('5900m/s', airDensity, ball) }))).toBeLessThanOrEqual(0.36);
    expect(perPeriod(timed({ cfl: '0.3', ...body('5900m/s', '60kg/m3', ball) }))).toBeLessThanOrEqual(0.26);
    expect(perPeriod(timed({ cfl: '0.2', ...body('5900m/s', '60kg/m3', ball) }))).toBeLessThanOrEqual(0.2);
  });

  it('is refused where it would take weeks, and warned of where it takes hours', () => {
    const water = { medium: { type: 'Water' }, volume: { ...volume, size: ['150mm', '150mm', '150mm'] } };
    expect(() => check(timed({ cycles: 100_000, cfl: '0.01' }, water))).toThrow(
      expect.objectContaining({ reason: 'InvalidResource', field: 'spec.timeDomain.cycles' }),
    );
    expect(check(timed({ cycles: 2000 }, water))).toContainEqual(expect.stringMatching(/^it takes one thread about/));
    expect(check(timed())).toEqual([]);
  });

  it('tells box, steps and time, and of a thinner layer that halves the box', () => {
    const water = { medium: { type: 'Water' }, volume: { ...volume, size: ['141mm', '141mm', '141mm'] } };
    const long = timed({ cycles: 400, absorbingLayer: 20 }, water);
    expect(describeSimulation(long as Timed)).toMatch(
      /^\d+ steps of 256 × 256 × 256 points every 1.5mm, about .* of one thread$/,
    );
    expect(check(long)).toContainEqual(
      expect.stringMatching(
        /^absorbingLayer 1\d would take .* points in place of 256 × 256 × 256, \d times less memory/,
      ),
    );
  });

  it('is refused where pistons are so large that they would be more point sources than are simulated', () => {
    const huge = {
      array: { grid: { rows: 64, columns: 64, pitch: '1mm' }, transducer: { radius: '30mm', frequency: '1MHz' } },
      targets: [{ name: 'tip', position: ['0mm', '0mm', '60mm'] }],
      medium: { type: 'Water' },
    };
    expect(() => check(timed({ cycles: 4000, pointsPerWavelength: 3 }, huge))).toThrow(
      expect.objectContaining({ reason: 'InvalidArray', field: 'spec.array.transducer.radius' }),
    );
  });
});
