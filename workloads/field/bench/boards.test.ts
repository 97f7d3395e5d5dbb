import { join } from 'node:path';
import { expect, it } from 'vitest';
import { boardFiles } from '../src/job/boards.ts';
import { readPlan } from '../src/job/output.ts';
import { plan } from '../src/job/plan.ts';
import { readDrive } from '../src/job/shard.ts';
import { smallProblem, temporaryFolder } from '../src/job/testing.ts';
import { derivativesAt, forceOf, stiffnessOf } from '../src/physics/derivatives.ts';
import { gorkov } from '../src/physics/particle.ts';
import { drivenSources } from '../src/physics/sources.ts';
import { peerPython, startPeer } from './python.ts';

const found = peerPython(false);
const why = found.missing ? ` (skipped: ${found.missing})` : '';

it.skipIf(found.missing !== undefined)(
  `levitate reads the states that are exported for it${why}`,
  { timeout: 60_000 },
  async () => {
    const folder = temporaryFolder();
    const problem = smallProblem({ array: { grid: { rows: 4, columns: 4 }, hardware: { export: ['Levitate'] } } });
    plan(problem, folder);
    const { amplitudes, phases } = readDrive(problem, folder, readPlan(folder));
    const peer = startPeer(found.python!);
    try {
      const read = await peer.ask<{ re: number[]; im: number[]; frames: number }>({
        ask: 'levitate_states',
        path: join(folder, boardFiles.Levitate),
        transducers: 16,
      });
      expect(read.frames).toBe(1);
      phases.forEach((phase, t) => {
        expect(read.re[t]).toBeCloseTo(amplitudes[t]! * Math.cos(phase), 6);
        expect(read.im[t]).toBeCloseTo(amplitudes[t]! * Math.sin(phase), 6);
      });
    } finally {
      peer.close();
    }
  },
);

it.skipIf(found.missing !== undefined)(
  `AcousTools reads the frames that are exported for it${why}`,
  { timeout: 60_000 },
  async (context) => {
    const folder = temporaryFolder();
    const problem = smallProblem({ array: { grid: { rows: 4, columns: 4 }, hardware: { export: ['AcousTools'] } } });
    plan(problem, folder);
    const { phases } = readDrive(problem, folder, readPlan(folder));
    const peer = startPeer(found.python!);
    try {
      const read = await peer
        .ask<{ phases: number[]; frames: number }>({
          ask: 'acoustools_phases',
          path: join(folder, boardFiles.AcousTools),
        })
        .catch((error: Error) => {
          if (/No module named/.test(error.message)) return context.skip(`needs python3-torch: ${error.message}`);
          throw error;
        });
      expect(read.frames).toBe(1);
      phases.forEach((phase, t) => expect(Math.cos(read.phases[t]! - phase)).toBeCloseTo(1, 6));
    } finally {
      peer.close();
    }
  },
);

it.skipIf(found.missing !== undefined)(
  `Gor'kov potential, force and stiffness agree with levitate's within 1e-3${why}`,
  { timeout: 60_000 },
  async () => {
    const folder = temporaryFolder();
    const problem = smallProblem({ array: { grid: { rows: 8, columns: 8 } } });
    plan(problem, folder);
    const drive = readDrive(problem, folder, readPlan(folder));
    const sources = drivenSources(problem.emitters, drive);
    const points = Array.from({ length: 50 }, (_, i) =>
      [0.754877, 0.56984, 0.819172].map(
        (part, axis) => (((i + 1) * part) % 1) * 0.03 - 0.015 + (axis === 2 ? 0.04 : 0),
      ),
    );
    const { emitters, medium, frequency, particle } = problem;
    const peer = startPeer(found.python!);
    try {
      const theirs = await peer.ask<Record<'potential' | 'gradient' | 'stiffness', number[]>>({
        ask: 'levitate_gorkov',
        positions: Array.from(emitters.elements.positions),
        normals: Array.from(emitters.elements.normals),
        phases: Array.from(drive.phases),
        points: points.flat(),
        soundSpeed: medium.soundSpeed,
        density: medium.density,
        frequency,
        radius: emitters.radius,
        pressureAt1m: emitters.pressureAt1m,
        particle,
      });
      const weights = gorkov(particle, medium, frequency);
      const ours: typeof theirs = { potential: [], gradient: [], stiffness: [] };
      const values = new Float64Array(40);
      for (const [x, y, z] of points as [number, number, number][]) {
        derivativesAt(sources, 3, x, y, z, values);
        const here = { re: (m: number) => values[2 * m]!, im: (m: number) => values[2 * m + 1]! };
        const square = (m: number): number => here.re(m) ** 2 + here.im(m) ** 2;
        ours.potential.push(weights.ofPressure * square(0) + weights.ofGradient * (square(1) + square(2) + square(3)));
        for (const axis of [0, 1, 2]) {
          ours.gradient.push(-forceOf(here, weights, axis));
          ours.stiffness.push(stiffnessOf(here, weights, axis));
        }
      }
      for (const name of ['potential', 'gradient', 'stiffness'] as const) {
        const most = Math.max(...theirs[name].map(Math.abs));
        const worst = Math.max(...theirs[name].map((value, i) => Math.abs(value - ours[name][i]!)));
        expect({ name, worst: worst / most }).toEqual({ name, worst: expect.closeTo(0, 3) });
      }
    } finally {
      peer.close();
    }
  },
);
