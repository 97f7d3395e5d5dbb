// Job kinds beside Kueue, of which only its Workloads are there, written as Kueue writes them: what it says of a Job is
// told of the resource, from the moment that the cluster has Kueue.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client } from '../../controller/src/kube/client.ts';
import type { KubeObject } from '../../controller/src/kube/types.ts';
import { types } from '../../controller/src/objects/types.ts';
import { type ApiCluster, startApi } from '../cluster/api.ts';
import { directClient } from '../faults/things.ts';
import type { Kubectl } from '../kubectl.ts';
import {
  Conductor,
  eventReasons,
  hasCondition,
  installDefinitions,
  type Resource,
  typeOf,
  until,
} from './conductor.ts';

const namespace = 'queued';
/** The version that Kueue served before `v1beta2`. */
const version = 'v1beta1';
const workloads = { ...types.workload, version };
const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {
    name: 'workloads.kueue.x-k8s.io',
    // The group is one of Kubernetes' own.
    annotations: { 'api-approved.kubernetes.io': 'unapproved, a part of Kueue for a test' },
  },
  spec: {
    group: 'kueue.x-k8s.io',
    names: { kind: 'Workload', plural: 'workloads', singular: 'workload', listKind: 'WorkloadList' },
    scope: 'Namespaced',
    versions: [
      {
        name: version,
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

let api: ApiCluster;
let direct: Client;
let kubectl: Kubectl;
let conductor: Conductor;
beforeAll(async () => {
  api = await startApi();
  kubectl = await installDefinitions(api);
  await kubectl.apply(JSON.stringify(definition));
  await kubectl.run(['wait', '--for=condition=Established', 'crd/workloads.kueue.x-k8s.io', '--timeout=30s']);
  await kubectl.run(['create', 'namespace', namespace]);
  direct = await directClient(api.kubeconfig);
  conductor = await Conductor.open(api);
  conductor.start();
});
afterAll(async () => {
  await conductor?.stop();
  await direct?.close();
  await api?.stop();
});

const scheduling = { queueName: 'team-a' };
const resources: Record<string, [kind: string, job: string, spec: object]> = {
  field: [
    'FieldJob',
    'bead-field-plan',
    {
      array: { grid: {} },
      targets: [{ name: 'bead', position: ['0mm', '0mm', '60mm'] }],
      volume: { center: ['0mm', '0mm', '60mm'], size: ['80mm', '80mm', '80mm'] },
      output: { persistentVolumeClaim: { claimName: 'fields' } },
      scheduling,
    },
  ],
  search: [
    'EvolutionRun',
    'bead-evolution',
    {
      dataset: {
        source: { persistentVolumeClaim: { claimName: 'data', path: 'churn.csv' } },
        target: 'churned',
        task: 'Binary',
      },
      scheduling,
    },
  ],
};

test.each(Object.values(resources))('%s: tells what its queue tells, until it is admitted', async (kind, job, spec) => {
  const resource: Resource = {
    apiVersion: 'quintet.dev/v1alpha1',
    kind,
    metadata: { name: 'bead', namespace },
    spec: { ...spec },
  };
  await direct.apply(typeOf(kind), { ...resource });
  const made = await jobOf(job);
  const workload = await direct.create<KubeObject>(workloads, {
    apiVersion: `kueue.x-k8s.io/${version}`,
    kind: 'Workload',
    metadata: {
      namespace,
      name: `job-${job}-1a2b3`,
      ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: job, uid: made.metadata.uid, controller: true }],
    },
    spec: { queueName: 'team-a' },
  } as never);
  const tell = (type: string, status: string, reason: string, message: string) =>
    direct.patch(
      workloads,
      workload.metadata,
      { status: { conditions: [{ type, status, reason, message, lastTransitionTime: new Date().toISOString() }] } },
      { subresource: 'status' },
    );

  const full = 'insufficient unused quota for nvidia.com/gpu in flavor a100, 1 more needed';
  await tell('QuotaReserved', 'False', 'Pending', full);
  const reason = 'WaitingForQuota';
  await hasCondition(direct, resource, { type: 'Ready', status: 'False', reason, message: `queue team-a: ${full}` });

  await tell('QuotaReserved', 'False', 'Inadmissible', "LocalQueue team-a doesn't exist");
  await hasCondition(direct, resource, { type: 'Reconciling', status: 'True', reason: 'Inadmissible' });
  // What waits for its turn is nothing unusual; what nobody but a person mends is told.
  await until(async () => expect(await eventReasons(direct, resource)).toContain('Inadmissible'));
  expect(await eventReasons(direct, resource)).not.toContain(reason);

  await tell('Admitted', 'True', 'Admitted', 'The workload is admitted');
  await until(async () => {
    const { status } = await direct.get<Resource>(typeOf(kind), resource.metadata);
    expect(JSON.stringify(status?.conditions)).not.toContain('queue team-a');
  });
  await direct.delete(typeOf(kind), resource.metadata);
});

async function jobOf(name: string): Promise<KubeObject> {
  let found: KubeObject | undefined;
  await until(async () => {
    found = await direct.get(types.job, { namespace, name });
  });
  return found as KubeObject;
}
