// What a Job in Kueue's queue waits for, of Workloads as Kueue writes them.
import { expect, it } from 'vitest';
import { type Job, type ObjectCondition, types, type Workload } from '../../objects/types.ts';
import { observed, uidOf } from '../testing.ts';
import { queueTrouble } from './queue.ts';

const job: Job = {
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name: 'bead-field-plan', annotations: { 'quintet.dev/revision': 'r' } },
  spec: { template: { metadata: {}, spec: {} } },
};

function workload(conditions: ObjectCondition[], uid = uidOf(job)): Workload {
  const owner = { apiVersion: 'batch/v1', kind: 'Job', name: job.metadata.name, uid, controller: true };
  return {
    apiVersion: 'kueue.x-k8s.io/v1beta2',
    kind: 'Workload',
    metadata: { name: 'job-bead-field-plan-1a2b3', ownerReferences: [owner] },
    status: { conditions },
  };
}

const noQuota =
  "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in flavor a100, 1 more needed";
const condition = (type: string, status: string, reason: string, message: string): ObjectCondition => ({
  type,
  status,
  reason,
  message,
});
const reserved = condition('QuotaReserved', 'True', 'QuotaReserved', 'Quota reserved in ClusterQueue gpus');
const pending = condition('QuotaReserved', 'False', 'Pending', noQuota);

const cases: Record<string, [ObjectCondition[], object]> = {
  'nothing decided yet': [[], { reason: 'WaitingForQuota', message: 'queue team-a: the Job waits to be looked at' }],
  'no quota': [[pending], { reason: 'WaitingForQuota', message: `queue team-a: ${noQuota}`, isUsual: true }],
  'a queue that does not exist, which nobody but a person mends': [
    [condition('QuotaReserved', 'False', 'Inadmissible', "LocalQueue team-a doesn't exist")],
    { reason: 'Inadmissible', message: "queue team-a: LocalQueue team-a doesn't exist" },
  ],
  'checks after the quota': [
    [reserved],
    { reason: 'AdmissionChecks', message: 'queue team-a: quota is reserved, checks of the admission are not over' },
  ],
  'an eviction': [
    [condition('Evicted', 'True', 'Preempted', 'Preempted to accommodate a workload of higher priority'), pending],
    { reason: 'Evicted', message: `queue team-a: Preempted to accommodate a workload of higher priority; ${noQuota}` },
  ],
};
for (const [title, [conditions, wants]] of Object.entries(cases)) {
  it(`tells of ${title}`, () => {
    const seen = observed().withJob(job, 'Active').with(workload(conditions));
    const found = queueTrouble([undefined, ...seen.list<Job>(types.job)], 'team-a', seen);
    expect(found).toMatchObject(wants);
  });
}

it('tells nothing once it is admitted, after an eviction too, or has ended', () => {
  const admitted = condition('Admitted', 'True', 'Admitted', '');
  const before = condition('Evicted', 'False', 'QuotaReserved', 'Previously: Preempted');
  for (const conditions of [
    [reserved, before, admitted],
    [pending, condition('Finished', 'True', 'Succeeded', '')],
  ]) {
    const seen = observed().withJob(job, 'Active').with(workload(conditions));
    expect(queueTrouble(seen.list<Job>(types.job), 'team-a', seen)).toBeUndefined();
  }
});

it('tells nothing of a Job without queue, of one that has ended, or of the Workload of a namesake', () => {
  const seen = observed()
    .withJob(job, 'Active')
    .with(workload([pending]));
  const [live] = seen.list<Job>(types.job);
  expect(queueTrouble([live], undefined, seen)).toBeUndefined();
  const ended = observed()
    .withJob(job, 'Complete')
    .with(workload([pending]));
  expect(queueTrouble(ended.list<Job>(types.job), 'team-a', ended)).toBeUndefined();
  const former = observed()
    .withJob(job, 'Active')
    .with(workload([pending], 'earlier'));
  expect(queueTrouble(former.list<Job>(types.job), 'team-a', former)).toBeUndefined();
});
