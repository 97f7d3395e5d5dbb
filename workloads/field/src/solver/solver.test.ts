import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { derivativeCounts, derivativesAt, stiffnessOf } from '../physics/derivatives.ts';
import { grid, twoSided } from '../physics/elements.ts';
import { gorkov } from '../physics/particle.ts';
import { pressureAt } from '../physics/reference.ts';
import { drivenSources, type Emitters } from '../physics/sources.ts';
import { complexMatrix, complexVector, gram, multiply, multiplyAdjoint, shiftedSolver } from './matrix.ts';
import { targetObjective } from './objective.ts';
import { type SolverSettings, solve } from './solve.ts';
import { goalsOf, type Target } from './targets.ts';

const emitters: Emitters = {
  elements: grid({ rows: 12, columns: 12, pitch: 10.5e-3 }),
  pressureAt1m: 8,
  radius: 4.5e-3,
  pattern: { type: 'Piston', ka: 3.3 },
  wavenumber: (2 * Math.PI) / 8.65e-3,
  attenuation: 0,
  reflectors: [],
};
const settings: SolverSettings = {
  algorithm: 'WeightedGS',
  iterations: 200,
  phaseLevels: 0,
  amplitude: 'Fixed',
  amplitudeLevels: 0,
  regularization: 0.01,
  learningRate: 0.1,
  seed: 0,
};
const focus = (name: string, x: number, y: number, z: number, changes: Partial<Target> = {}): Target => ({
  name,
  position: [x, y, z],
  trap: 'Focus',
  weight: 1,
  axis: 0,
  charge: 1,
  radius: 4.3e-3,
  ...changes,
});
const coordinate = (size: number) => fc.double({ min: -size, max: size, noNaN: true });
/** `sets` sets of `count` foci at least a wavelength apart, in a box above the array, by a linear congruence. */
function targetSets(count: number, sets: number): Target[][] {
  let state = count;
  const part = (): number => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
  return Array.from({ length: sets }, () => {
    const points: [number, number, number][] = [];
    while (points.length < count) {
      const point: [number, number, number] = [(part() - 0.5) * 0.08, (part() - 0.5) * 0.08, 0.06 + part() * 0.08];
      if (points.every((other) => Math.hypot(...other.map((v, i) => v - point[i]!)) > 8.65e-3)) points.push(point);
    }
    return points.map((point, i) => focus(`t${i}`, ...point));
  });
}

const magnitudeAt = (drive: ReturnType<typeof solve>['drive'], x: number, y: number, z: number): number => {
  const value = new Float64Array(2);
  pressureAt(drivenSources(emitters, drive), x, y, z, value);
  return Math.hypot(value[0]!, value[1]!);
};

const algorithms = ['Naive', 'IBP', 'WeightedGS', 'GSPAT', 'Eigen', 'Adam', 'LBFGS'] as const;

describe('every solver', () => {
  it.each(algorithms)('%s focuses one target as well as can be', (algorithm) => {
    const { drive, focal, residual } = solve(emitters, [focus('one', 0.01, -0.02, 0.1)], { ...settings, algorithm });
    const goals = goalsOf(emitters, [focus('one', 0.01, -0.02, 0.1)]);
    let all = 0;
    for (let t = 0; t < emitters.elements.count; t++) all += Math.hypot(goals.loud.re[t]!, goals.loud.im[t]!);
    expect(focal[0]! / all).toBeGreaterThan(0.999);
    expect(magnitudeAt(drive, 0.01, -0.02, 0.1) / all).toBeGreaterThan(0.999);
    expect(residual).toBeLessThan(1e-9);
  });

  it.each(algorithms)('%s tells the focal amplitudes that the field has', (algorithm) => {
    const targets = [focus('a', 0.02, 0, 0.1), focus('b', -0.02, 0.01, 0.09), focus('c', 0, -0.02, 0.11)];
    const { drive, focal } = solve(emitters, targets, { ...settings, algorithm, phaseLevels: 256 });
    targets.forEach(({ position }, j) => expect(focal[j]! / magnitudeAt(drive, ...position)).toBeCloseTo(1, 9));
    for (const phase of drive.phases)
      expect((phase / (2 * Math.PI)) * 256).toBeCloseTo(Math.round((phase / (2 * Math.PI)) * 256), 9);
  });
});

describe('weighted Gerchberg–Saxton', () => {
  const few = (columns: number): Emitters => ({ ...emitters, elements: grid({ rows: 1, columns, pitch: 10e-3 }) });
  const [foci] = targetSets(16, 1) as [Target[]];
  const long = { ...settings, iterations: 2000 };

  it.each([
    ['by the kernel', 2, foci],
    ['by plain matrices', 4, [...foci, focus('hush', 0.02, 0.02, 0.1, { trap: 'Silence' })]],
  ])('stays finite over thousands of rounds where elements cannot meet all foci, %s', (_, columns, targets) => {
    const { drive, residual, focal } = solve(few(columns), targets, long);
    for (const each of [...drive.phases, ...focal, residual]) expect(Number.isFinite(each)).toBe(true);
    // Nor is it what overflow leaves: all elements in phase.
    expect(new Set(drive.phases).size).toBeGreaterThan(1);
  });

  it('hears foci that hardly any sound reaches', () => {
    const faint = { ...emitters, attenuation: 600 };
    const { drive, residual } = solve(faint, [focus('near', 0, 0, 0.03), focus('far', 0, 0, 0.15)], settings);
    for (const each of [...drive.phases, residual]) expect(Number.isFinite(each)).toBe(true);
  });

  it('refuses targets that no sound reaches at all', () => {
    const deaf = { ...emitters, attenuation: 1e5 };
    expect(() => solve(deaf, [focus('far', 0, 0, 0.1)], settings)).toThrow(
      expect.objectContaining({ reason: 'InvalidTarget', field: 'spec.targets' }),
    );
  });

  it.each([2, 4, 8])('makes %i targets equally loud within 2 %, without swinging', (count) => {
    for (const targets of targetSets(count, 30)) expect(solve(emitters, targets, settings).residual).toBeLessThan(0.02);
  });

  it('starts from phases of the seed, the same for the same seed', () => {
    const [targets = []] = targetSets(5, 1);
    const phases = (seed: number): Float64Array => solve(emitters, targets, { ...settings, seed }).drive.phases;
    expect(phases(3)).toEqual(phases(3));
    expect(phases(3)).not.toEqual(phases(4));
  });

  it('shares pressure by weight', () => {
    const targets = [focus('a', 0.02, 0, 0.1, { weight: 2 }), focus('b', -0.02, 0, 0.1)];
    const { focal } = solve(emitters, targets, settings);
    expect(focal[0]! / focal[1]!).toBeCloseTo(2, 2);
  });
});

describe('iterative backpropagation', () => {
  it('is louder than weighted Gerchberg–Saxton, and the same for the same seed', () => {
    const loudness = ({ focal }: { focal: Float64Array }): number => focal.reduce((sum, each) => sum + each, 0);
    for (const targets of targetSets(8, 10)) {
      const found = solve(emitters, targets, { ...settings, algorithm: 'IBP' });
      expect(loudness(found)).toBeGreaterThan(loudness(solve(emitters, targets, settings)));
      expect(solve(emitters, targets, { ...settings, algorithm: 'IBP' })).toEqual(found);
    }
  });
});

describe('gradient descent', () => {
  it('has the gradient of finite differences, amplitudes and silences too', () => {
    const goals = goalsOf(emitters, [
      focus('a', 0.02, 0, 0.1),
      focus('b', -0.02, 0.01, 0.09),
      focus('q', 0, 0, 0.1, { trap: 'Silence' }),
    ]);
    const count = emitters.elements.count;
    const objective = targetObjective(goals, 2000, true);
    const at = Float64Array.from({ length: 2 * count }, (_, i) => Math.sin(i * 1.7) * 2);
    const gradient = new Float64Array(2 * count);
    objective(at, gradient);
    const scratch = new Float64Array(2 * count);
    for (const i of [0, 17, 100, count, count + 33, 2 * count - 1]) {
      const moved = (by: number): number =>
        objective(
          at.map((each, n) => (n === i ? each + by : each)),
          scratch,
        );
      expect((moved(1e-5) - moved(-1e-5)) / 2e-5).toBeCloseTo(gradient[i]!, 7);
    }
  });

  it('ends no quieter than its warm start', () => {
    const mean = ({ focal }: { focal: Float64Array }): number =>
      focal.reduce((sum, each) => sum + each, 0) / focal.length;
    for (const targets of targetSets(6, 20)) {
      const warm = mean(solve(emitters, targets, settings));
      expect(mean(solve(emitters, targets, { ...settings, algorithm: 'LBFGS' })) / warm).toBeGreaterThan(0.995);
    }
  });
});

describe('targets', () => {
  it('of a certain pressure get it where it can be had, and all elements are driven alike', () => {
    const { drive, focal, residual } = solve(emitters, [focus('a', 0, 0, 0.1, { pressure: 1500 })], settings);
    expect(focal[0]).toBeCloseTo(1500, 6);
    expect(residual).toBeLessThan(1e-9);
    expect(new Set(drive.amplitudes).size).toBe(1);
  });

  it('of a twin trap leave a node between two crests', () => {
    const { drive } = solve(emitters, [focus('twin', 0, 0, 0.1, { trap: 'Twin' })], settings);
    expect(magnitudeAt(drive, 0, 0, 0.1)).toBeLessThan(1);
    expect(magnitudeAt(drive, 5e-3, 0, 0.1)).toBeGreaterThan(1000);
    expect(magnitudeAt(drive, 0, 5e-3, 0.1)).toBeLessThan(1);
  });

  it('of a vortex leave a node inside a ring', () => {
    const { drive } = solve(emitters, [focus('vortex', 0, 0, 0.1, { trap: 'Vortex' })], settings);
    expect(magnitudeAt(drive, 0, 0, 0.1)).toBeLessThan(20);
    for (let n = 0; n < 8; n++) {
      const turn = (n * Math.PI) / 4;
      expect(magnitudeAt(drive, 5e-3 * Math.cos(turn), 5e-3 * Math.sin(turn), 0.1)).toBeGreaterThan(800);
    }
  });

  it.each([
    { algorithm: 'WeightedGS', loud: 0.8 },
    { algorithm: 'LBFGS', loud: 0.8 },
    // Free amplitudes follow what each element gives to the focus, so far ones are driven less.
    { algorithm: 'GSPAT', loud: 0.6 },
  ] as const)('of silence are quiet beside a loud focus ($algorithm)', ({ algorithm, loud }) => {
    const targets = [focus('loud', 0.02, 0, 0.1), focus('quiet', -0.01, 0, 0.1, { trap: 'Silence', radius: 3e-3 })];
    const without = solve(emitters, targets.slice(0, 1), settings);
    const { drive, focal } = solve(emitters, targets, { ...settings, algorithm, amplitude: 'Free' });
    expect(focal[0]! / without.focal[0]!).toBeGreaterThan(loud);
    expect(magnitudeAt(drive, -0.01, 0, 0.1) / focal[0]!).toBeLessThan(0.03);
  });

  it('that are all silences are refused', () => {
    expect(() => solve(emitters, [focus('quiet', 0, 0, 0.1, { trap: 'Silence' })], settings)).toThrow(
      /not be a silence/,
    );
  });
});

describe('dead and measured elements', () => {
  it('are worked around: the pressure is that of the living in phase', () => {
    const count = emitters.elements.count;
    const response = {
      amplitudes: Float64Array.from({ length: count }, (_, i) => (i % 9 === 0 ? 0 : 0.8 + 0.2 * Math.sin(i))),
      phases: Float64Array.from({ length: count }, (_, i) => Math.sin(i * 3)),
    };
    const real = { ...emitters, response };
    const target = focus('a', 0.01, 0, 0.1);
    const { drive, focal } = solve(real, [target], settings);
    const value = new Float64Array(2);
    pressureAt(drivenSources(real, drive), ...target.position, value);
    expect(Math.hypot(value[0]!, value[1]!)).toBeCloseTo(focal[0]!, 6);
    const { loud } = goalsOf(real, [target]);
    let all = 0;
    for (let t = 0; t < count; t++) all += Math.hypot(loud.re[t]!, loud.im[t]!);
    expect(focal[0]! / all).toBeGreaterThan(0.9999);
  });
});

describe('stiffness', () => {
  const sphere = gorkov(
    { radius: 1e-3, density: 29, soundSpeed: 900 },
    { name: 'air', soundSpeed: 346, density: 1.18, attenuation: 0 } as never,
    40_000,
  );
  const facing = { ...emitters, elements: twoSided({ rows: 8, columns: 8, pitch: 10.5e-3, separation: 0.1 }) };
  const held = (changes: Partial<Target> = {}) =>
    focus('bead', 1e-3, -2e-3, 0.05, { trap: 'Stiffness', gorkov: sphere, ...changes });
  const least = (drive: ReturnType<typeof solve>['drive'], { position }: Target): number => {
    const values = new Float64Array(2 * derivativeCounts[3]);
    derivativesAt(drivenSources(facing, drive), 3, ...position, values);
    const here = { re: (m: number) => values[2 * m]!, im: (m: number) => values[2 * m + 1]! };
    return Math.min(...[0, 1, 2].map((axis) => stiffnessOf(here, sphere, axis)));
  };

  it.each(['LBFGS', 'Adam'] as const)(
    'is larger by %s than that of a twin trap, along each axis and in each of two traps',
    (algorithm) => {
      for (const targets of [[held()], [held(), held({ name: 'other', position: [-0.02, 0.01, 0.045] })]]) {
        const twins = targets.map((each): Target => ({ ...each, trap: 'Twin' }));
        const { drive } = solve(facing, targets, { ...settings, algorithm });
        const twin = solve(facing, twins, settings).drive;
        const own = Math.min(...targets.map((each) => least(drive, each)));
        const before = Math.min(...targets.map((each) => least(twin, each)));
        expect(own).toBeGreaterThan(0);
        expect(own).toBeGreaterThan(1.5 * before);
      }
    },
  );

  it('goes with pressures of other targets', () => {
    const loud = focus('loud', 0.02, 0, 0.05);
    const { drive, residual } = solve(facing, [held(), loud], { ...settings, algorithm: 'LBFGS' });
    expect(least(drive, held())).toBeGreaterThan(0);
    expect(residual).toBeLessThan(1e-9);
    const value = new Float64Array(2);
    pressureAt(drivenSources(facing, drive), ...loud.position, value);
    expect(Math.hypot(value[0]!, value[1]!)).toBeGreaterThan(500);
  });

  it('has the slope that small changes of phases and amplitudes show', () => {
    const goals = goalsOf(facing, [held(), focus('loud', 0.02, 0, 0.05)]);
    const objective = targetObjective(goals, 0.8, true);
    const count = facing.elements.count;
    const at = Float64Array.from({ length: 2 * count }, (_, i) => Math.sin(3 * i) + (i < count ? 0 : 0.5));
    const gradient = new Float64Array(2 * count);
    objective(at, gradient);
    const unused = new Float64Array(2 * count);
    const size = Math.hypot(...gradient) / Math.sqrt(2 * count);
    for (const i of [0, 17, 63, 100, count, count + 40, 2 * count - 1]) {
      const moved = (by: number): number =>
        objective(
          at.map((each, n) => (n === i ? each + by : each)),
          unused,
        );
      expect(Math.abs((moved(1e-5) - moved(-1e-5)) / 2e-5 - gradient[i]!) / size).toBeLessThan(1e-4);
    }
  });
});

describe('complex matrices', () => {
  it('are solved: (H + shift)x = b', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 7 }),
        fc.array(coordinate(1), { minLength: 120, maxLength: 120 }),
        (n, numbers) => {
          const a = complexMatrix(n, n + 1);
          a.re.set(numbers.slice(0, n * (n + 1)));
          a.im.set(numbers.slice(60, 60 + n * (n + 1)));
          const h = gram(a);
          const b = { re: Float64Array.from(numbers.slice(0, n)), im: Float64Array.from(numbers.slice(20, 20 + n)) };
          const x = shiftedSolver(h, 0.1)(b);
          const back = complexVector(n);
          multiply(h, x, back);
          for (let i = 0; i < n; i++) {
            expect(back.re[i]! + 0.1 * x.re[i]!).toBeCloseTo(b.re[i]!, 8);
            expect(back.im[i]! + 0.1 * x.im[i]!).toBeCloseTo(b.im[i]!, 8);
          }
          // ⟨Ax, y⟩ = ⟨x, Aᴴy⟩
          const wide = {
            re: Float64Array.from(numbers.slice(0, n + 1)),
            im: Float64Array.from(numbers.slice(40, 41 + n)),
          };
          const ax = complexVector(n);
          const ahb = complexVector(n + 1);
          multiply(a, wide, ax);
          multiplyAdjoint(a, b, ahb);
          const left = ax.re.reduce((sum, re, i) => sum + re * b.re[i]! + ax.im[i]! * b.im[i]!, 0);
          const right = wide.re.reduce((sum, re, i) => sum + re * ahb.re[i]! + wide.im[i]! * ahb.im[i]!, 0);
          expect(left).toBeCloseTo(right, 8);
        },
      ),
    );
  });
});
