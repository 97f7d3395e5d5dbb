import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { plan } from './plan.ts';
import { smallProblem, temporaryFolder } from './testing.ts';

const plenty = { memory: 2 ** 34, threads: 1 };
/** A levitator that holds a bead between two small grids. */
function levitator(motion: Record<string, unknown>, changes: Record<string, unknown> = {}) {
  return smallProblem({
    array: {
      type: 'TwoSided',
      twoSided: { rows: 6, columns: 6, separation: '80mm' },
      hardware: { export: ['JSON', 'AcousTools'] },
    },
    targets: [{ name: 'bead', position: ['0mm', '0mm', '40mm'], trap: 'Twin' }],
    volume: { center: ['0mm', '0mm', '40mm'], size: ['4mm', '4mm', '4mm'], spacing: '1mm' },
    solver: { phaseLevels: 0 },
    motion,
    ...changes,
  });
}
const line = (period: string) => ({
  frameRate: '1kHz',
  paths: [{ target: 'bead', line: { to: ['0mm', '6mm', '40mm'], period } }],
});

describe('paths', () => {
  it('pass their waypoints, smoothly and at rest at both ends', () => {
    const at = (seconds: string, x: string) => ({ at: seconds, position: [x, '0mm', '40mm'] });
    const waypoints = [at('0s', '0mm'), at('20ms', '3mm'), at('60ms', '-2mm'), at('80ms', '0mm')];
    const { motion } = levitator({ frameRate: '1kHz', maxPhaseStep: '90deg', paths: [{ target: 'bead', waypoints }] });
    const x = motion!.paths[0]!.positions.map(([value]) => value);
    expect(x).toHaveLength(81);
    expect([x[0], x[20], x[60], x[80]].map((value) => value! * 1000)).toEqual(
      [0, 3, -2, 0].map((v) => expect.closeTo(v, 9)),
    );
    const speed = x.slice(1).map((value, i) => (value - x[i]!) * 1000);
    expect(Math.abs(speed[0]!)).toBeLessThan(0.03);
    expect(Math.abs(speed.at(-1)!)).toBeLessThan(0.03);
    const acceleration = speed.slice(1).map((value, i) => (value - speed[i]!) * 1000);
    const jumps = acceleration.slice(1).map((value, i) => Math.abs(value - acceleration[i]!));
    expect(Math.max(...jumps)).toBeLessThan(0.06 * Math.max(...acceleration.map(Math.abs)) * 2);
    expect(motion!.largestAcceleration.value).toBeCloseTo(Math.max(...acceleration.map(Math.abs)), -1);
  });

  it('go round circles in the plane that is named, and there and back on lines', () => {
    const circle = { center: ['1mm', '0mm', '40mm'], radius: '2mm', plane: 'XZ', period: '40ms' };
    const { motion, targets } = levitator({ maxPhaseStep: '180deg', paths: [{ target: 'bead', circle }] });
    const { positions } = motion!.paths[0]!;
    for (const [x, y, z] of positions) {
      expect(Math.hypot(x - 0.001, z - 0.04)).toBeCloseTo(0.002, 12);
      expect(y).toBe(0);
    }
    expect(positions).toHaveLength(41);
    expect(targets[0]!.position).toEqual(positions[0]);
    expect(motion!.largestAcceleration.value).toBeCloseTo(0.002 * (2 * Math.PI * 25) ** 2, 9);
    const there = levitator(line('100ms')).motion!.paths[0]!.positions.map(([, y]) => y * 1000);
    expect([there[0], there[25], there[50], there[100]].map((y) => y!)).toEqual(
      [0, 3, 6, 0].map((v) => expect.closeTo(v, 9)),
    );
  });

  it.each([
    [
      'time that does not go on',
      {
        waypoints: [
          { at: '1s', position: ['0mm', '0mm', '1mm'] },
          { at: '1s', position: ['0mm', '0mm', '2mm'] },
        ],
      },
      {},
      'spec.motion.paths[0].waypoints[1].at',
    ],
    [
      'less than a frame',
      { circle: { center: ['0mm', '0mm', '40mm'], radius: '1mm', period: '1ms' } },
      { frameRate: '100Hz' },
      'spec.motion.duration',
    ],
    [
      'more frames than are solved',
      { line: { to: ['0mm', '0mm', '50mm'], period: '1s' } },
      { duration: '9000s' },
      'spec.motion.duration',
    ],
    [
      'an acceleration over the limit',
      { line: { to: ['0mm', '6mm', '40mm'], period: '20ms' } },
      { maxAcceleration: '9.8m/s2' },
      'spec.motion.maxAcceleration',
    ],
  ])('are refused for %s', (_what, path, more, field) => {
    const motion = { paths: [{ target: 'bead', ...path }], ...more };
    expect(() => levitator(motion)).toThrow(expect.objectContaining({ reason: 'InvalidMotion', field }));
  });
});

describe('frames', () => {
  it('keep the steps of all elements within the bound, and the trap on its path', () => {
    const folder = temporaryFolder();
    plan(levitator(line('200ms')), folder, plenty);
    const file = JSON.parse(readFileSync(join(folder, 'motion.json'), 'utf8')) as {
      frames: number;
      largestPhaseStep: { radians: number };
      largestDisplacement: { metres: number; target: string };
    };
    const { states } = JSON.parse(readFileSync(join(folder, 'board.json'), 'utf8')) as {
      states: { phases: number[] }[];
    };
    expect(states).toHaveLength(201);
    expect(file.frames).toBe(201);
    let largest = 0;
    for (let i = 1; i < states.length; i++) {
      states[i]!.phases.forEach((phase, t) => {
        const turns = (phase - states[i - 1]!.phases[t]!) / (2 * Math.PI);
        largest = Math.max(largest, Math.abs(turns - Math.round(turns)) * 2 * Math.PI);
      });
    }
    expect(largest).toBeCloseTo(file.largestPhaseStep.radians, 12);
    expect(largest).toBeLessThanOrEqual(Math.PI / 6);
    expect(file.largestDisplacement).toMatchObject({ target: 'bead' });
    expect(file.largestDisplacement.metres).toBeLessThan(0.00865 / 20);
    expect(readFileSync(join(folder, 'board.csv'), 'utf8')).toMatch(/^201,72\n/);
  });

  it('are refused by the first that asks too much of an element', () => {
    expect(() => plan(levitator({ ...line('200ms'), maxPhaseStep: '2deg' }), temporaryFolder(), plenty)).toThrow(
      expect.objectContaining({
        reason: 'InvalidMotion',
        field: 'spec.motion.maxPhaseStep',
        message: expect.stringMatching(/^frame \d+ turns an element by [\d.]+°, over 2°/),
      }),
    );
  });

  it('are refused by the one in which a path enters a transducer', () => {
    const path = { target: 'bead', line: { to: ['5.25mm', '5.25mm', '0mm'], period: '2s' } };
    const problem = levitator(
      { maxPhaseStep: '180deg', paths: [path] },
      { targets: [{ name: 'bead', position: ['5.25mm', '5.25mm', '20mm'] }] },
    );
    expect(() => plan(problem, temporaryFolder(), plenty)).toThrow(/^frame \d+: bead is inside a transducer/);
  });

  it('are held to the limits as the first is', () => {
    const over = levitator(line('100ms'), { safety: { maxPressure: '50Pa' } });
    expect(() => plan(over, temporaryFolder(), plenty)).toThrow(
      expect.objectContaining({ reason: 'SafetyLimitExceeded' }),
    );
  });

  it('are each held to the limits: one that lasts for a few frames is found, and told', { timeout: 60_000 }, () => {
    // Up to the lower grid and back within twelve of 250 frames, which sixteen samples would step over.
    const at = (time: string, z: string) => ({ at: time, position: ['0mm', '0mm', z] });
    const waypoints = [
      at('0ms', '40mm'),
      at('105ms', '40mm'),
      at('111ms', '25mm'),
      at('117ms', '40mm'),
      at('250ms', '40mm'),
    ];
    const moving = (maxPressure: string) =>
      levitator(
        { frameRate: '1kHz', maxPhaseStep: '180deg', paths: [{ target: 'bead', waypoints }] },
        {
          targets: [{ name: 'bead', position: ['0mm', '0mm', '40mm'] }],
          safety: {
            maxPressure: '100kPa',
            zones: [{ name: 'low', center: ['0mm', '0mm', '25mm'], radius: '3mm', maxPressure }],
          },
        },
      );
    const folder = temporaryFolder();
    plan(moving('90kPa'), folder, plenty);
    const { safety } = JSON.parse(readFileSync(join(folder, '.quintet/plan.json'), 'utf8')) as {
      safety: { zones: Record<string, number> };
    };
    const limit = `${((0.9 * safety.zones.low!) / 1000).toFixed(3)}kPa`;
    expect(() => plan(moving(limit), temporaryFolder(), plenty)).toThrow(
      expect.objectContaining({
        reason: 'SafetyLimitExceeded',
        field: 'spec.safety.zones',
        message: expect.stringMatching(/in zone low .*, the most in frame 1(09|1[0-3]);/),
      }),
    );
  });
});
