// Every kind in every state of the design's table, as its stored resource would read: status by the pure functions,
// generations and times by the loop's own stamping. GitOps tools are tested on these.
import {
  type AnyDefinition,
  compressionService,
  copyEngine,
  type EvolutionRun,
  evolutionRun as evolutionRunDefinition,
  type FieldJob,
  fieldJob as fieldJobDefinition,
  matcherPool,
} from '@quintet/crds';
import type { KubeObject } from '../../kube/types.ts';
import type { Deployment } from '../../objects/deployment.ts';
import type { Pod } from '../../objects/types.ts';
import { stampConditions } from '../../reconcile/conditions.ts';
import { TerminalError } from '../../reconcile/errors.ts';
import type { ConditionDecision, Kind } from '../../reconcile/kind.ts';
import { failureConditions, withFailure } from '../../reconcile/status.ts';
import * as run from '../evolution/testing.ts';
import * as field from '../fieldjob/testing.ts';
import { servingKind } from '../serving/index.ts';
import { noon, type ObservedBuilder, observed, stores } from '../testing.ts';

export type ArgoHealth = 'Healthy' | 'Progressing' | 'Degraded' | 'Suspended';
export type KStatus = 'Current' | 'InProgress' | 'Failed';

export interface State {
  title: string;
  /** As the API server stores it: with generation and status. */
  resource: KubeObject & Record<string, unknown>;
  health: ArgoHealth;
  kstatus: KStatus;
}

interface Row<R extends KubeObject = KubeObject> {
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
  seen?: (resource: R) => ObservedBuilder;
  failure?: readonly ConditionDecision[];
  is: 'working' | 'good' | 'stalled' | 'resting';
}

const answers: Record<Row['is'], Pick<State, 'health' | 'kstatus'>> = {
  working: { health: 'Progressing', kstatus: 'InProgress' },
  good: { health: 'Healthy', kstatus: 'Current' },
  stalled: { health: 'Degraded', kstatus: 'Failed' },
  resting: { health: 'Suspended', kstatus: 'Current' },
};

const generation = 4;

export function allStates(): State[] {
  return [
    ...statesOf(fieldJobDefinition, field.kind, field.spec, fieldJobRows()),
    ...statesOf(evolutionRunDefinition, run.kind, runSpec, runRows()),
    ...[compressionService, matcherPool, copyEngine].flatMap((definition: AnyDefinition) => {
      const kind = servingKind(definition, { image: 'example.test/engine:1', stores });
      const spec = { replicas: 2, ...(definition === copyEngine && { runtime: 'Template' }) };
      return statesOf(definition, kind, spec, serviceRows(kind as Kind<never>));
    }),
  ];
}

function statesOf<R extends KubeObject>(
  definition: AnyDefinition,
  kind: Kind<R>,
  base: Record<string, unknown>,
  rows: Record<string, Row<R>>,
): State[] {
  return Object.entries({ ...rows, ...refusals }).map(
    ([title, { spec, status, seen = () => observed(), failure = [], is }]) => {
      const stored = {
        apiVersion: `${definition.group}/${definition.version}`,
        kind: definition.kind,
        metadata: { name: 'one', namespace: 'team', uid: 'uid-1', generation },
        spec: { ...base, ...spec },
        ...(status && { status }),
      };
      const resource = kind.parse(stored);
      const decision = withFailure(kind.status(resource, seen(resource)), failure);
      const conditions = stampConditions(decision.conditions, undefined, generation, noon);
      const written = { ...decision.fields, observedGeneration: generation, conditions };
      return {
        title: `${definition.kind} ${title}`,
        resource: JSON.parse(JSON.stringify({ ...stored, status: written })) as State['resource'],
        ...answers[is],
      };
    },
  );
}

/** What may befall any kind. */
const refusals: Record<string, Row> = {
  'when the API server keeps away': { failure: failureConditions(new Error('connect ECONNREFUSED'), 5), is: 'working' },
  'when its spec cannot be carried out': {
    failure: failureConditions(new TerminalError('ImageNotSet', 'set spec.pod.image'), 1),
    is: 'stalled',
  },
  'at rest, when its spec cannot be carried out': {
    spec: { suspend: true },
    failure: failureConditions(new TerminalError('ImageNotSet', 'set spec.pod.image'), 1),
    is: 'stalled',
  },
};

function fieldJobRows(): Record<string, Row<FieldJob>> {
  const { planOf, planned, shardsOf, computed } = field;
  const unsafe = { reason: 'SafetyLimitExceeded', message: '7.1kPa over 6kPa', field: 'spec.safety.maxPressure' };
  const full = { reason: 'OutputFull', message: 'no space left', field: 'spec.output' };
  return {
    'before any pod runs': { is: 'working' },
    'while it plans': {
      seen: (one) => observed().withJob(planOf(one), 'Active').withPod(planOf(one)),
      is: 'working',
    },
    'while it computes': {
      seen: (one) => planned(one).withJob(shardsOf(one), 'Active', { succeeded: 3, active: 2 }),
      is: 'working',
    },
    'while it finishes': { seen: computed, is: 'working' },
    'at the end': { seen: field.finished, is: 'good' },
    'when asked to rest': { spec: { suspend: true }, is: 'resting' },
    'when a limit would be broken': {
      seen: (one) =>
        observed()
          .withJob(planOf(one), 'Failed')
          .withPod(planOf(one), { exitCode: 78, message: { step: 'plan', error: unsafe } }),
      is: 'stalled',
    },
    'when pods were killed for memory until retries ran out': {
      seen: (one) =>
        planned(one)
          .withJob(shardsOf(one), 'Failed')
          .withPod(shardsOf(one), { exitCode: 137, message: '', reason: 'OOMKilled' }),
      is: 'stalled',
    },
    'when the disk was full and it is tried again': {
      seen: (one) =>
        planned(one)
          .withJob(shardsOf(one), 'Failed')
          .withPod(shardsOf(one), { exitCode: 75, message: { step: 'shard', error: full } }),
      is: 'working',
    },
    'past its deadline': {
      spec: { activeDeadline: '10m' },
      seen: (one) => planned(one).withJob(shardsOf(one), 'Active').at(600),
      is: 'stalled',
    },
  };
}

const runSpec = {
  dataset: {
    source: { persistentVolumeClaim: { claimName: 'data', path: 'churn.csv' } },
    target: 'churned',
    task: 'Binary',
  },
  workers: { min: 2, max: 4 },
};

function runRows(): Record<string, Row<EvolutionRun>> {
  const { coordinator, running } = run;
  const ended = (exitCode: number, message: object) => (one: EvolutionRun) =>
    observed()
      .withJob(coordinator(one), exitCode === 0 ? 'Complete' : 'Failed')
      .withPod(coordinator(one), { exitCode, message });
  const error = (reason: string, path: string) => ({
    step: 'coordinator',
    error: { reason, message: 'it says why', field: path },
  });
  return {
    'before its coordinator runs': { is: 'working' },
    'while it searches': { seen: running, is: 'working' },
    'at the end': { seen: run.done, is: 'good' },
    'when asked to rest': { spec: { suspend: true }, is: 'resting' },
    'when its data lacks the column': { seen: ended(2, error('ColumnNotFound', 'spec.dataset.target')), is: 'stalled' },
    'when its queue is away and it is tried again': {
      seen: ended(75, error('QueueUnreachable', 'spec.queue')),
      is: 'working',
    },
    'past its deadline': { spec: { activeDeadline: '1h' }, seen: (one) => running(one).at(3600), is: 'stalled' },
  };
}

function serviceRows(kind: Kind<never>): Record<string, Row> {
  const live = (one: KubeObject, status: Deployment['status'] = {}, replicas = 2): Deployment => {
    const { objects } = kind.desired(one as never, observed());
    const deployment = objects.find(({ kind: each }) => each === 'Deployment') as Deployment;
    const { metadata, spec } = deployment;
    const counted = { ...spec, replicas };
    return { ...deployment, metadata: { ...metadata, generation: 3 }, spec: counted, status };
  };
  const all = { observedGeneration: 3, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2 };
  const standing = {
    observedGeneration: 3,
    conditions: [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }],
  };
  return {
    'before pods are there': { is: 'working' },
    'when its pods wait for a Secret': {
      seen: (one) => {
        const seen = observed().with(live(one, {}), pod('a', { waits: true }));
        seen.failedMount = () => 'MountVolume.SetUp failed for volume "secret-0" : secret "nope" not found';
        return seen;
      },
      is: 'working',
    },
    'when its pods ended again and again': {
      seen: (one) => observed().with(live(one, {}), pod('a', { endedOften: true })),
      is: 'stalled',
    },
    'when every pod is of the latest revision': {
      seen: (one) => observed().with(live(one, all), pod('a'), pod('b')),
      is: 'good',
    },
    'while old pods serve': {
      seen: (one) => observed().with(live(one, { ...all, replicas: 3, updatedReplicas: 1 }), pod('a')),
      is: 'working',
    },
    'at zero': {
      spec: { replicas: 0 },
      seen: (one) => observed().with(live(one, { observedGeneration: 3 }, 0)),
      is: 'good',
    },
    'when asked to rest': { spec: { suspend: true }, is: 'resting' },
    'while pods that were asked to rest still end': {
      spec: { suspend: true },
      seen: () => observed().with(pod('a')),
      is: 'working',
    },
    'when pods are killed for memory': {
      seen: (one) => observed().with(live(one, { observedGeneration: 3 }), pod('a', { killed: true })),
      is: 'working',
    },
    'when its rollout stands still for too long': {
      seen: (one) => observed().with(live(one, standing)),
      is: 'stalled',
    },
    'serving while the API server refuses a change': {
      seen: (one) => observed().with(live(one, all), pod('a'), pod('b')),
      failure: failureConditions(new Error('connect ECONNREFUSED'), 5),
      is: 'working',
    },
  };
}

interface Fate {
  killed?: boolean;
  endedOften?: boolean;
  /** For its volumes. */
  waits?: boolean;
}

function pod(name: string, { killed = false, endedOften = false, waits = false }: Fate = {}): Pod {
  const terminated = killed ? { exitCode: 137, reason: 'OOMKilled' } : { exitCode: 1, reason: 'Error' };
  const ends = killed || endedOften;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { 'quintet.dev/backend': 'cpu' } },
    status: {
      phase: waits ? 'Pending' : 'Running',
      conditions: [{ type: 'Ready', status: ends || waits ? 'False' : 'True' }],
      ...(ends && {
        containerStatuses: [
          {
            name: 'engine',
            restartCount: endedOften ? 7 : 3,
            state: { waiting: { reason: 'CrashLoopBackOff' } },
            lastState: { terminated },
          },
        ],
      }),
    },
  };
}
