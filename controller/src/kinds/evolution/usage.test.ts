// What is counted of pods that come, run, end and are taken away.
import { evolutionRun as definition, type EvolutionRun, parseStored } from '@quintet/crds';
import { expect, it } from 'vitest';
import type { Pod } from '../../objects/types.ts';
import { noon } from '../testing.ts';
import { meterOf } from './usage.ts';

const run = (status?: object, resources: object = { requests: { cpu: '2' } }): EvolutionRun =>
  parseStored(definition, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'EvolutionRun',
    metadata: { name: 'churn', namespace: 'team', uid: 'uid-1' },
    spec: { dataset: { source: { configMap: { name: 'x', key: 'y' } }, target: 'y', task: 'Binary' }, resources },
    ...(status && { status }),
  });
const at = (minutes: number) => new Date(noon.getTime() + 60_000 * minutes);
const second = (minutes: number) => `${at(minutes).toISOString().slice(0, 19)}Z`;
const pod = (uid: string, from: number, until?: number): Pod => {
  const startedAt = at(from).toISOString();
  const state =
    until === undefined
      ? { running: { startedAt } }
      : { terminated: { exitCode: 0, startedAt, finishedAt: at(until).toISOString() } };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: uid, uid },
    status: { containerStatuses: [{ name: 'engine', restartCount: 0, state }] },
  };
};

it('counts each minute of each pod once, however often it looks', () => {
  const meter = meterOf(0);
  expect(meter(run(), [], at(0))).toBeUndefined();
  expect(meter(run(), [pod('a', 0)], at(30))).toMatchObject({ cpuHours: '1.000' });
  expect(meter(run(), [pod('a', 0)], at(30))).toMatchObject({ cpuHours: '1.000' });
  expect(meter(run(), [pod('a', 0, 45), pod('b', 30)], at(60))).toMatchObject({ cpuHours: '2.500' });
  // What is gone stays counted; what has ended counts no more.
  expect(meter(run(), [pod('b', 30, 60)], at(90))).toMatchObject({ cpuHours: '2.500' });
});

it('goes on from what the status says, and counts once what ran while no leader counted', () => {
  const usage = { cpuHours: '7.500', cost: '0.15', countedUntil: second(30) };
  const meter = meterOf(0.02);
  // Half an hour of `a` and a quarter of `b`, which began and ended meanwhile; `c` had ended before.
  const pods = [pod('a', 0), pod('b', 40, 55), pod('c', 0, 30)];
  expect(meter(run({ usage }), pods, at(60))).toEqual({ cpuHours: '9.000', cost: '0.18', countedUntil: second(60) });
  expect(meter(run({ usage }), pods, at(90))).toEqual({ cpuHours: '10.000', cost: '0.20', countedUntil: second(90) });
});

it('counts no minute again that an earlier release may have told of, which did not say until when', () => {
  const told = run({ usage: { cpuHours: '7.500' } });
  const meter = meterOf(0);
  expect(meter(told, [pod('a', 0)], at(60))).toMatchObject({ cpuHours: '7.500' });
  expect(meter(told, [pod('a', 0)], at(90))).toMatchObject({ cpuHours: '8.500' });
});

it('has no news to write while its figures stay', () => {
  const usage = { cpuHours: '7.500', countedUntil: second(30) };
  expect(meterOf(0)(run({ usage }), [pod('a', 0, 30)], at(60))).toEqual(usage);
});

it('takes the limit where nothing is requested', () => {
  const limited = run(undefined, { requests: { memory: '1Gi' }, limits: { cpu: '500m' } });
  expect(meterOf(0)(limited, [pod('a', 0)], at(60))).toMatchObject({ cpuHours: '0.500' });
});
