// What the controllers of the cluster under test have asked for until now, with real nodes, Jobs and pods: nothing was denied.
import { expect, it } from 'vitest';
import { auditEvents } from '../cluster/audit.ts';
import { release } from '../install.ts';
import { denied, described } from './installed.ts';
import { conditionOf, Services } from './served.ts';
import { freshNamespace, sharedCluster } from './shared.ts';

it('the controllers were denied nothing in this run, and asked for nothing beyond their rights', async ({ skip }) => {
  const { kubectl, node } = await sharedCluster();
  if (!node) skip('the audit log is only at hand on the local node');
  const namespace = 'e2e-rights';
  await freshNamespace(kubectl, namespace);
  const services = new Services(kubectl, namespace);
  await services.apply('one');
  await services.ready('one');
  // Why its pod waits is told by the kubelet alone, in Events, which are asked for only then.
  await services.apply('keyless', { auth: { secretRef: { name: 'absent' } } });
  const stuck = await services.reaches(
    'keyless',
    'names the Secret that is not there',
    (one) => conditionOf(one, 'Ready')?.reason === 'SecretNotFound',
  );
  expect(conditionOf(stuck, 'Ready')?.message).toMatch(/absent.*spec\.auth\.secretRef/);
  await services.remove('one', 'keyless');

  const account = `system:serviceaccount:${release.namespace}:${release.name}`;
  const events = auditEvents(node?.auditLogPath ?? '');
  const requests = events.filter(({ user }) => user.username === account);
  const isStarting = startsOf(events.map(({ requestReceivedTimestamp }) => Date.parse(requestReceivedTimestamp)));
  const used = new Set(requests.map(described));
  expect([...used]).toEqual(
    expect.arrayContaining(['create deployments', 'patch compressionservices/status', 'list events']),
  );
  const settled = requests.filter(({ requestReceivedTimestamp }) => !isStarting(Date.parse(requestReceivedTimestamp)));
  expect(denied(settled)).toEqual([]);
  expect(
    [...used].filter((right) =>
      /^(get|update) secrets|(?<!^list )nodes|namespaces|^(delete|update) pods|\*/.test(right),
    ),
  ).toEqual([]);
});

/** Whether the API server was started seconds before: other suites take it away, and it knows no roles for a moment, which is long on a busy machine. A log that is silent for longer than any node is tells so. */
function startsOf(times: readonly number[]): (time: number) => boolean {
  const sorted = times.toSorted((a, b) => a - b);
  const starts = sorted.filter((time, index) => time - (sorted[index - 1] ?? time) > 6000);
  return (time) => starts.some((start) => time >= start && time < start + 15_000);
}
