// When a Job's pods look as those of a namespace that is being deleted do.
import { expect, it } from 'vitest';
import type { Job, Pod } from '../../objects/types.ts';
import { noon, type ObservedBuilder, observed, uidOf } from '../testing.ts';
import { jobsEnd } from './namespace.ts';

const job: Job = {
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name: 'bead-field-shards', annotations: { 'quintet.dev/revision': 'r' } },
  spec: { template: { metadata: {}, spec: {} } },
};
const owners = [{ apiVersion: 'batch/v1', kind: 'Job', name: job.metadata.name, uid: uidOf(job), controller: true }];

/** @param goesAt Seconds after noon at which its time to end is over. */
function pod(phase: string, goesAt?: number, ownerReferences = owners): Pod {
  const deletionTimestamp = goesAt === undefined ? undefined : new Date(noon.getTime() + goesAt * 1000).toISOString();
  const metadata = { name: 'shard-0', ownerReferences, ...(deletionTimestamp && { deletionTimestamp }) };
  return { apiVersion: 'v1', kind: 'Pod', metadata, status: { phase } };
}

const active = (): ObservedBuilder => observed().withJob(job, 'Active', { active: 1 });
const going = { ...job, metadata: { ...job.metadata, uid: uidOf(job), deletionTimestamp: noon.toISOString() } };

const cases: Record<string, [ObservedBuilder, boolean]> = {
  'a pod that failed and was told to go, and stays': [active().with(pod('Failed', 10)), true],
  'a pod that is still there though its time to end is over': [active().with(pod('Pending', -1)), true],
  'a pod that has time to end yet': [active().with(pod('Running', 10)), false],
  'a pod that failed and nobody deletes': [active().with(pod('Failed')), false],
  'a pod of another Job': [active().with(pod('Failed', 10, [])), false],
  'a Job that goes with its pods': [observed().with(going, pod('Failed', 10)), false],
  'no pods at all': [active(), false],
};
for (const [title, [seen, wants]] of Object.entries(cases)) {
  it(`${wants ? 'is worth asking about' : 'is no sign of it'}: ${title}`, () => {
    expect(jobsEnd.isLikely(seen)).toBe(wants);
  });
}
