import { describe, expect, it } from 'vitest';
import type { RowKernel } from '../kernel/kernel.ts';
import { type Drive, drivenSources } from '../physics/sources.ts';
import { solve } from '../solver/solve.ts';
import { maximaOf } from './framemaxima.ts';
import { solveFrames } from './frames.ts';
import { targetsAt } from './motion.ts';
import { sampleMaxima, targetPressures } from './sample.ts';
import { smallProblem } from './testing.ts';
import { atOnce } from './turns.ts';

describe('the largest pressures of a motion', { timeout: 60_000 }, () => {
  it('are sought where the focus of each frame lies, however far it has moved in however large a box', () => {
    const problem = smallProblem({
      array: { grid: { rows: 16, columns: 16 } },
      targets: [{ name: 'tip', position: ['170mm', '3.3mm', '101mm'] }],
      volume: { center: ['0mm', '0mm', '150mm'], size: ['600mm', '600mm', '240mm'], spacing: '2mm' },
      safety: { maxPressure: '100kPa' },
      solver: { phaseLevels: 0 },
      motion: {
        frameRate: '1kHz',
        maxPhaseStep: '180deg',
        paths: [{ target: 'tip', line: { to: ['-3.1mm', '3.3mm', '101mm'], period: '4ms' } }],
      },
    });
    const motion = problem.motion!;
    const { drives } = atOnce(
      solveFrames(problem, motion, solve(problem.emitters, problem.targets, problem.solver).drive),
    );
    const reached = drives.map((drive, frame) => {
      const targets = targetsAt(motion, problem.targets, frame);
      return atOnce(targetPressures({ ...problem, targets }, drivenSources(problem.emitters, drive)))[0]!;
    });
    expect(Math.max(...reached)).toBeGreaterThan(2 * reached[0]!);
    const { maxima, first } = atOnce(maximaOf(problem, drives));
    expect(maxima.anywhere).toBeGreaterThanOrEqual(Math.max(...reached));
    expect(first).toBeLessThan(0.8 * maxima.anywhere);
  });

  it('are those of its own elements where two frames silence as many', () => {
    const problem = smallProblem();
    const silent = (element: number): Drive => {
      const { drive } = solve(problem.emitters, problem.targets, problem.solver);
      return { ...drive, amplitudes: drive.amplitudes.map((each, i) => (i === element ? 0 : each)) };
    };
    const [one, other] = [0, 10].map((element) => drivenSources(problem.emitters, silent(element))) as [
      ReturnType<typeof drivenSources>,
      ReturnType<typeof drivenSources>,
    ];
    const kernels = new Map<number, RowKernel>();
    const effort = { samples: 1000, climbers: 3 };
    const sample = (of: typeof one, changes: object) => atOnce(sampleMaxima(problem, of, { ...effort, ...changes }));
    sample(one, { kernels });
    const kept = kernels.get(0)!;
    sample(other, { kernels });
    expect(kernels.get(0)).not.toBe(kept);
    sample({ ...other, phases: other.phases.map((each) => each + 1) }, { kernels });
    expect(kernels.get(0)).not.toBe(kept);
    expect(sample(other, { kernels })).toEqual(sample(other, {}));
  });
});
