import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { resultFiles, runStep, smallJob, temporaryFolder } from './job/testing.ts';

const large = smallJob({
  array: { type: 'TwoSided', twoSided: { rows: 16, columns: 16, separation: '200mm' } },
  targets: [{ name: 'bead', position: ['0mm', '0mm', '100mm'], trap: 'Twin' }],
  volume: { center: ['0mm', '0mm', '100mm'], size: ['50mm', '50mm', '50mm'], spacing: '1mm' },
  shards: { max: 2 },
});

describe('the engine as a process', { timeout: 120_000 }, () => {
  it('reports each step to its termination log', async () => {
    const folder = temporaryFolder();
    const job = smallJob();
    const planned = await runStep(job, folder, 'plan');
    expect(planned).toMatchObject({
      code: 0,
      report: {
        step: 'plan',
        shards: 1,
        points: 21 * 11 * 13,
        safety: { verdict: 'NotLimited' },
        solution: { targets: [{ name: 'focus', pressure: expect.stringMatching(/Pa$/) }] },
      },
    });
    expect((await runStep(job, folder, 'shard')).report).toMatchObject({
      step: 'shard',
      shard: 0,
      backend: 'CPU',
      method: 'DirectSum',
    });
    const finished = await runStep(job, folder, 'finish');
    expect(finished.report).toMatchObject({
      step: 'finish',
      output: { summary: 'summary.json', pictures: ['slice-0-xz-pressure.png'] },
    });
    expect(finished.lines.map(({ message }) => message)).toEqual(['started', 'finished']);
  });

  it('gives the same bytes though it is killed again and again', async () => {
    const undisturbed = temporaryFolder();
    for (const step of ['plan', 'shard', 'finish'] as const) await runToEnd(undisturbed, step);
    const folder = temporaryFolder();
    let killed = 0;
    // From almost at once to a little over what a step takes on this machine, which differs from run to run.
    for (const step of ['plan', 'shard', 'finish'] as const) {
      for (let n = 0; n < 3; n++) {
        const { signal } = await runStep(large, folder, step, { index: n % 2, killAfter: 150 + Math.random() * 900 });
        if (signal === 'SIGKILL') killed++;
      }
      await runToEnd(folder, step);
    }
    expect(killed).toBeGreaterThan(0);
    expect(resultFiles(folder)).toEqual(resultFiles(undisturbed));
  });

  it('stops on SIGTERM with 143 and goes on from there', async () => {
    const folder = temporaryFolder();
    await runStep(large, folder, 'plan');
    const stopped = await runStep(large, folder, 'shard', { killAfter: 400, signal: 'SIGTERM' });
    expect([143, 0, null]).toContain(stopped.code);
    expect(stopped.report === undefined || stopped.code === 0).toBe(true);
    expect((await runStep(large, folder, 'shard')).code).toBe(0);
  });

  it.each([
    {
      title: 'a spec that cannot be',
      job: smallJob({
        targets: [{ name: 'focus', position: ['0mm', '0mm', '0mm'] }],
        array: { grid: { rows: 3, columns: 3 } },
      }),
      code: 78,
      reason: 'InvalidTarget',
    },
    {
      title: 'a broken limit',
      job: smallJob({ safety: { maxPressure: '1Pa' } }),
      code: 78,
      reason: 'SafetyLimitExceeded',
    },
  ])('ends with $code for $title', async ({ job, code, reason }) => {
    const run = await runStep(job, temporaryFolder(), 'plan');
    expect(run).toMatchObject({ code, report: { step: 'plan', error: { reason } } });
  });

  it('ends with 75 where the output cannot be written, and with 0 once it can', async () => {
    const folder = temporaryFolder();
    const blocked = join(folder, 'blocked');
    writeFileSync(blocked, '');
    chmodSync(blocked, 0o400);
    const run = await runStep(smallJob(), join(blocked, 'out'), 'plan');
    expect(run).toMatchObject({ code: 75, report: { error: { reason: 'OutputUnwritable', field: 'spec.output' } } });
    expect((await runStep(smallJob(), join(folder, 'out'), 'plan')).code).toBe(0);
  });

  it('says that the plan is missing', async () => {
    const run = await runStep(smallJob(), temporaryFolder(), 'shard');
    expect(run).toMatchObject({ code: 75, report: { error: { reason: 'PlanMissing' } } });
  });
});

async function runToEnd(folder: string, step: 'plan' | 'shard' | 'finish'): Promise<void> {
  for (let index = 0; index < (step === 'shard' ? 2 : 1); index++) {
    expect((await runStep(large, folder, step, { index })).code).toBe(0);
  }
}
