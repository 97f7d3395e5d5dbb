// An EvolutionRun's objects and status in every state it can be in.
import type { EvolutionRun } from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { KubeObject } from '../../kube/types.ts';
import type { Deployment } from '../../objects/deployment.ts';
import { type Pod, types } from '../../objects/types.ts';
import { noon, type ObservedBuilder, observed, stores } from '../testing.ts';
import { evolutionRun } from './index.ts';
import type { Progress } from './progress.ts';
import { coordinator, done, find, kind, names, resource, running, said } from './testing.ts';

const workers = (run: EvolutionRun, seen: ObservedBuilder) =>
  (find(run, seen, 'Deployment') as Deployment | undefined)?.spec.replicas;
const ready = (run: EvolutionRun, seen: ObservedBuilder) =>
  kind.status(run, seen).conditions.find(({ type }) => type === 'Ready');

describe('the objects of an EvolutionRun', () => {
  it('are those of the golden file', async () => {
    const run = resource({
      queue: { redis: { secretRef: { name: 'redis' } } },
      output: { volumeClaimTemplate: {} },
      activeDeadline: '2h',
    });
    const all = kind
      .desired(run, running(run))
      .objects.map((each) => stringify(each))
      .join('---\n');
    await expect(all).toMatchFileSnapshot('golden/run.yaml');
  });

  it('have no workers before the coordinator runs, then as many as the least', () => {
    const run = resource();
    expect(workers(run, observed())).toBe(0);
    expect(workers(run, running(run))).toBe(2);
  });

  it('keep their workers while a coordinator that died is started again, and until the Job fails', () => {
    const run = resource();
    const deployment = find(run, running(run), 'Deployment');
    const between = (state: 'Active' | 'Failed') =>
      observed().withJob(coordinator(run), state, { active: 0, failed: 1 }).with(deployment!);
    expect(workers(run, between('Active'))).toBe(2);
    expect(workers(run, between('Failed')) ?? 0).toBe(0);
    expect(workers(run, observed().withJob(coordinator(run), 'Active', { active: 0 }))).toBe(0);
  });

  it('have no workers once the search has ended, and keep the coordinator for its log', () => {
    const run = resource();
    expect(names(kind.desired(run, done(run)).objects)).toEqual([
      'ConfigMap/churn-evolution',
      'Secret/churn-evolution-stores',
      'NetworkPolicy/churn-evolution',
      'Service/churn-evolution',
      'Job/churn-evolution',
    ]);
  });

  it('rest while suspended', () => {
    const run = resource({ suspend: true });
    expect(coordinator(run)).toMatchObject({ spec: { suspend: true } });
    expect(workers(run, observed().withJob(coordinator(run), 'Active', { active: 1 }))).toBe(0);
  });

  it('try the coordinator again after a failure that may pass', () => {
    const run = resource();
    const away = {
      step: 'coordinator',
      error: { reason: 'QueueUnreachable', message: 'Redis does not answer', field: 'spec.queue' },
    };
    const seen = () =>
      observed().withJob(coordinator(run), 'Failed').withPod(coordinator(run), { exitCode: 75, message: away });
    expect(find(run, seen().at(5), 'Job')).toBeDefined();
    expect(find(run, seen().at(10), 'Job')).toBeUndefined();
    expect(ready(run, seen())).toMatchObject({ reason: 'QueueUnreachable' });
  });

  it('go when the time to live is over', () => {
    const run = resource({ ttlAfterFinished: '1h' });
    const { fields, conditions } = kind.status(run, done(run));
    const at = '2026-01-01T12:00:00Z';
    const stored = conditions.map((each) => ({ ...each, observedGeneration: 1, lastTransitionTime: at }));
    const ended = resource({ ttlAfterFinished: '1h' }, { ...fields, conditions: stored });
    expect(kind.desired(ended, done(run).at(1)).requeueAfterMs).toBe(3_599_000);
    expect(kind.desired(ended, done(run).at(3600)).objects).toEqual([]);
  });
});

describe('a search that goes on', () => {
  const progress: Progress = {
    runId: 'run-1',
    generation: 3,
    evaluations: { done: 70, cached: 4, racedOut: 30, failed: 0, queued: 3 },
    best: { learner: 'Linear', score: '0.91' },
    secondsLeft: 754.2,
    percent: 58,
  };
  const speaking = (page: Progress) =>
    evolutionRun({ image: 'example.test/evolution:1', stores }, { progress: () => page, cancel: () => undefined });

  it('is reported while it runs, and looked at again soon', () => {
    const run = resource();
    const told = speaking(progress);
    expect(told.status(run, running(run)).fields).toMatchObject({
      phase: 'Progressing',
      generation: 3,
      evaluations: { done: 70, cached: 4, queued: 3 },
      best: { score: '0.91' },
      eta: '12m35s',
      progress: { percent: 58 },
    });
    expect(told.desired(run, running(run)).requeueAfterMs).toBe(5000);
    const { fields } = told.status(run, done(run));
    expect(fields).toMatchObject({ phase: 'Succeeded', generation: 12 });
    expect([fields['eta'], fields['progress']]).toEqual([undefined, undefined]);
  });

  it.each([
    ['as many workers as tasks', 3, 2, 3],
    ['no more than the most', 40, 2, 4],
    ['no fewer than the fewest', 0, 4, 2],
    ['those it has while half of them have work', 2, 4, 4],
  ])('has %s', (_, queued, present, wanted) => {
    const run = resource();
    const told = speaking({ evaluations: { queued } });
    const seen = running(run).with({
      ...find(run, running(run), 'Deployment')!,
      spec: { replicas: present },
    } as KubeObject);
    const made = told.desired(run, seen).objects.find(({ kind: k }) => k === 'Deployment') as Deployment;
    expect(made.spec.replicas).toBe(wanted);
  });

  it('counts judged rows that also teach in a condition, also without any suspect column, and when its pods are gone', () => {
    const run = resource();
    const suspect = (told: ReturnType<typeof speaking>, at: EvolutionRun, seen: ObservedBuilder) =>
      told.status(at, seen).conditions.find(({ type }) => type === 'DataSuspect')?.message;
    const counted = { duplicateRows: 12 };
    expect(suspect(speaking({ ...progress, ...counted }), run, running(run))).toMatch(
      /^12 judged rows also teach: see/,
    );
    const seen = observed()
      .withJob(coordinator(run), 'Complete')
      .withPod(coordinator(run), { exitCode: 0, message: { ...said, ...counted, suspectColumns: ['copy'] } });
    const { fields } = kind.status(run, seen);
    const later = resource({}, fields);
    expect(suspect(speaking({}), later, observed())).toBe('copy; 12 judged rows also teach: see the report');
  });

  it.each([
    [{ role: 'Champion' }, 'True', 'Champion', 'the model of this run is the champion of its name'],
    [
      { role: 'None', why: 'the active model predicts fault' },
      'False',
      'NotPromoted',
      'the active model predicts fault',
    ],
  ])('says what became of its model: %j', (promotion, wanted, reason, message) => {
    const run = resource();
    const seen = observed()
      .withJob(coordinator(run), 'Complete')
      .withPod(coordinator(run), { exitCode: 0, message: { ...said, promotion } });
    const { conditions, fields } = kind.status(run, seen);
    const promoted = { type: 'Promoted', status: wanted, reason, message };
    expect(conditions).toContainEqual(promoted);
    // Its pods are gone.
    expect(kind.status(resource({}, fields), observed()).conditions).toContainEqual(promoted);
  });

  it('names suspect columns in a condition, also while it runs', () => {
    const run = resource();
    const early = speaking({ ...progress, suspectColumns: ['copy'] }).status(run, running(run)).conditions;
    expect(early.find(({ type }) => type === 'DataSuspect')).toMatchObject({
      message: 'copy: see the report when the run has ended',
    });
    const seen = observed()
      .withJob(coordinator(run), 'Complete')
      .withPod(coordinator(run), { exitCode: 0, message: { ...said, suspectColumns: ['row', 'copy'] } });
    const { conditions } = kind.status(run, seen);
    expect(conditions.find(({ type }) => type === 'DataSuspect')).toMatchObject({
      status: 'True',
      message: expect.stringContaining('row, copy'),
    });
  });
});

describe('an end', () => {
  it('by the deletion of the resource is told to its coordinator alone', () => {
    const told: string[] = [];
    const kindly = evolutionRun(
      { image: 'example.test/evolution:1', stores },
      { progress: () => undefined, cancel: ({ metadata }) => void told.push(metadata.name) },
    );
    const run = resource();
    const worker = find(run, running(run), 'Deployment') as Deployment;
    const seen = running(run).with({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'w', labels: worker.spec.template.metadata.labels ?? {} },
    });
    kindly.gone?.(seen);
    expect(told).toEqual([expect.stringMatching(/^churn-evolution-\d/)]);
  });

  it('leaves what the search has used in the status', () => {
    const run = resource({ resources: { requests: { cpu: '2' } } });
    const pod = (state: object) => {
      const [found] = running(run).list<Pod>(types.pod);
      const status = { phase: 'Running', containerStatuses: [{ name: 'engine', restartCount: 0, state }] };
      return observed()
        .withJob(coordinator(run), 'Active', { active: 1 })
        .with({ ...found!, status } as KubeObject);
    };
    const startedAt = noon.toISOString();
    const metered = evolutionRun({ image: 'example.test/evolution:1', stores, cpuHourPrice: 0.5 });
    const seen = pod({ running: { startedAt } }).at(1800);
    expect(metered.status(run, seen).fields).toMatchObject({ usage: { cpuHours: '1.000', cost: '0.50' } });
    const ended = { ...run, status: { phase: 'Succeeded', revision: metered.status(run, seen).fields['revision'] } };
    const { fields } = metered.status(ended as EvolutionRun, observed().at(3600));
    expect(fields).toMatchObject({ phase: 'Succeeded', usage: { cpuHours: '1.000', cost: '0.50' } });
  });
});

describe('predictions', () => {
  const promoting = (spec: Record<string, unknown> = {}, status?: Record<string, unknown>) =>
    resource({ promotion: { mode: 'Champion', serving: { replicas: 2, ...spec } }, ttlAfterFinished: '1h' }, status);
  const promoted = { champion: 'm-1', challenger: 'm-2', weight: '10%' };
  const ended = (run: EvolutionRun) =>
    observed()
      .withJob(coordinator(run), 'Complete')
      .withPod(coordinator(run), { exitCode: 0, message: { ...said, deployment: promoted } });
  const url = 'http://churn-evolution-predictions.team.svc';
  const serving = ['Service/churn-evolution-predictions', 'Deployment/churn-evolution-predictions'];
  const servesAs = ({ kind: k, metadata }: KubeObject) => k === 'Deployment' && metadata.name.endsWith('predictions');
  const servingOf = (run: EvolutionRun, seen: ObservedBuilder) =>
    names(kind.desired(run, seen).objects).filter((name) => serving.includes(name));

  it('are served once a model is promoted, with their registry and tokens and nothing else of the spec', async () => {
    const run = promoting({ auth: { secretRef: { name: 'tokens' } } });
    expect(servingOf(run, running(run))).toEqual([]);
    expect(servingOf(run, ended(run))).toEqual(serving);
    expect(kind.status(run, ended(run)).fields['deployment']).toEqual({ ...promoted, url });
    const objects = kind
      .desired(run, ended(run))
      .objects.filter(({ metadata }) => metadata.name.endsWith('predictions'));
    await expect(objects.map((each) => stringify(each)).join('---\n')).toMatchFileSnapshot('golden/predictions.yaml');
  });

  it('are not rolled when only their number changes', () => {
    const template = (replicas: number) => {
      const run = promoting({ replicas });
      const found = kind
        .desired(run, ended(run))
        .objects.find(({ metadata, kind: k }) => k === 'Deployment' && metadata.name.endsWith('predictions'));
      return (found as Deployment).spec.template;
    };
    expect(template(5)).toEqual(template(2));
  });

  it('stay when the time to live is over, and while another search runs', () => {
    const { fields, conditions } = kind.status(promoting(), ended(promoting()));
    const at = '2026-01-01T12:00:00Z';
    const stored = conditions.map((each) => ({ ...each, observedGeneration: 1, lastTransitionTime: at }));
    const status = { ...fields, conditions: stored };
    const later = promoting({}, status);
    expect(names(kind.desired(later, observed().at(3600)).objects)).toEqual(expect.arrayContaining(serving));
    expect(find(later, observed().at(3600), 'Job')).toBeUndefined();
    const anew = { ...later, spec: { ...later.spec, search: { ...later.spec.search, seed: 8 } } };
    expect(servingOf(anew, observed())).toEqual(serving);
    expect(kind.status(anew, observed()).fields).toMatchObject({ phase: 'Pending', deployment: { ...promoted, url } });
  });

  it('are told in a condition of their own, with what keeps their pods', () => {
    const run = promoting();
    const told = (seen: ObservedBuilder) =>
      kind.status(run, seen).conditions.find((each) => each.type === 'PredictionsServing');
    expect(told(running(run))).toBeUndefined();
    expect(told(ended(run))).toMatchObject({ status: 'False', reason: 'Starting' });
    const made = kind.desired(run, ended(run)).objects.find((each) => servesAs(each)) as Deployment;
    const up = (readyReplicas: number) => ended(run).with({ ...made, status: { readyReplicas } } as KubeObject);
    expect(told(up(2))).toMatchObject({ status: 'True', message: `2 of 2 pods answer at ${url}` });
    const withPod = (seen: ObservedBuilder, terminated: object) =>
      seen.with({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'p', namespace: 'team', labels: made.spec.template.metadata?.labels ?? {} },
        status: {
          phase: 'Running',
          containerStatuses: [{ name: 'engine', restartCount: 2, lastState: { terminated } }],
        },
      } as KubeObject);
    const fatal = '{"level":"fatal","err":"the token _admin is short"}';
    const crashed = withPod(up(1), { exitCode: 78, message: fatal });
    expect(told(crashed)).toMatchObject({
      status: 'False',
      reason: 'PodFailed',
      message: `1 of 2 pods answer at ${url}; pod p ended with exit code 78: the token _admin is short`,
      warn: true,
    });
    expect(ready(run, crashed)).toMatchObject({ status: 'True', reason: 'Succeeded' });
    const killed = withPod(up(0), { exitCode: 137, reason: 'OOMKilled' });
    expect(told(killed)?.message).toContain('raise spec.promotion.serving.resources.limits.memory');
  });

  it.each([
    ['no replica is wanted', promoting({ replicas: 0 })],
    ['nothing is to be promoted', resource()],
  ])('are not served where %s', (_, run) => {
    expect(servingOf(run, ended(run))).toEqual([]);
  });
});

describe('the status of an EvolutionRun', () => {
  it('says what the search found', () => {
    const run = resource();
    expect(kind.status(run, done(run)).fields).toMatchObject({
      phase: 'Succeeded',
      generation: 12,
      best: { score: '0.93' },
      evaluations: { done: 300 },
      workers: 0,
    });
    expect(ready(run, done(run))?.message).toContain('0.93');
  });

  it('keeps that when the pods are gone', () => {
    const run = resource();
    const { fields } = kind.status(run, done(run));
    const later = resource({}, fields);
    expect(kind.status(later, observed()).fields).toMatchObject({ phase: 'Succeeded', best: { score: '0.93' } });
  });

  it('is Failed with the field that bad data is about', () => {
    const run = resource();
    const bad = {
      step: 'coordinator',
      error: { reason: 'ColumnNotFound', message: 'the data has no column churned', field: 'spec.dataset.target' },
    };
    const seen = observed()
      .withJob(coordinator(run), 'Failed')
      .withPod(coordinator(run), { exitCode: 78, message: bad });
    expect(kind.status(run, seen).fields.phase).toBe('Failed');
    expect(ready(run, seen)?.message).toContain('spec.dataset.target');
    expect(workers(run, seen)).toBeUndefined();
  });

  it('says why the last coordinator ended while the Job waits to start another, until that one has got further', () => {
    const run = resource();
    const away = {
      step: 'coordinator',
      error: { reason: 'RegistryUnavailable', message: 'PostgreSQL does not answer', field: 'spec.registry' },
    };
    const waiting = (active: number) =>
      observed()
        .withJob(coordinator(run), 'Active', { active, failed: 1 })
        .withPod(coordinator(run), { exitCode: 75, message: away });
    const message = 'spec.registry: PostgreSQL does not answer; it is tried again';
    expect(ready(run, waiting(0))).toMatchObject({ status: 'False', reason: 'RegistryUnavailable', message });
    expect(ready(run, waiting(1).withPod(coordinator(run)))).toMatchObject({ reason: 'RegistryUnavailable' });
    const refused = observed()
      .withJob(coordinator(run), 'Active', { active: 0, failed: 1 })
      .withPod(coordinator(run), { exitCode: 78, message: away });
    expect(ready(run, refused)).toMatchObject({ reason: 'Pending' });
    const once = resource({ retries: 0 });
    const last = observed()
      .withJob(coordinator(once), 'Active')
      .withPod(coordinator(once), { exitCode: 75, message: away });
    expect(ready(once, last)?.reason).not.toBe('RegistryUnavailable');
    const beginning = evolutionRun(
      { image: 'example.test/evolution:1', stores },
      { progress: () => ({}), cancel: () => undefined },
    );
    const again = beginning.status(run, waiting(1).withPod(coordinator(run))).conditions;
    expect(again.find(({ type }) => type === 'Ready')).toMatchObject({ reason: 'RegistryUnavailable' });
    const further = evolutionRun(
      { image: 'example.test/evolution:1', stores },
      { progress: (pod) => (pod.status?.phase === 'Running' ? { generation: 1 } : undefined), cancel: () => undefined },
    );
    const { conditions } = further.status(run, waiting(1).withPod(coordinator(run)));
    expect(conditions.find(({ type }) => type === 'Ready')).toMatchObject({ reason: 'Searching' });
  });

  it('is Pending, then Progressing, then past its deadline Failed', () => {
    const run = resource({ activeDeadline: '1h' });
    expect(kind.status(run, observed()).fields.phase).toBe('Pending');
    expect(kind.status(run, running(run)).fields.phase).toBe('Progressing');
    expect(ready(run, running(run).at(3600))).toMatchObject({ reason: 'DeadlineExceeded' });
    // The Job goes only when the status tells of it: else the run would have no beginning, and begin again.
    expect(find(run, running(run).at(3600), 'Job')).toBeDefined();
    const { fields, conditions } = kind.status(run, running(run).at(3600));
    const told = {
      ...run,
      status: { ...fields, observedGeneration: run.metadata.generation, conditions },
    } as typeof run;
    expect(find(told, running(run).at(3600), 'Job')).toBeUndefined();
    // A release that adds a default changes every revision, and asks for nothing.
    const upgraded = { ...told, status: { ...told.status, revision: 'of-another-release' } } as typeof run;
    expect(kind.status(upgraded, observed().at(7200)).fields.phase).toBe('Failed');
    expect(find(upgraded, observed().at(7200), 'Job')).toBeUndefined();
  });
});
