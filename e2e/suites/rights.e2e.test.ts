// What the controllers of the cluster under test have asked for until now, with real nodes, Jobs and pods: nothing was denied.
import { expect, it } from 'vitest';
import { auditEvents } from '../cluster/audit.ts';
import { release } from '../install.ts';
import { denied, described } from './installed.ts';
import { Services } from './served.ts';
import { freshNamespace, sharedCluster } from './shared.ts';

it('the controllers were denied nothing in this run, and asked for nothing beyond their rights', async ({ skip }) => {
  const { kubectl, node } = await sharedCluster();
  if (!node) skip('the audit log is only at hand on the local node');
  const namespace = 'e2e-rights';
  await freshNamespace(kubectl, namespace);
  const services = new Services(kubectl, namespace);
  await services.apply('one');
  await services.ready('one');
  await services.remove('one');

  const account = `system:serviceaccount:${release.namespace}:${release.name}`;
  const requests = auditEvents(node?.auditLogPath ?? '').filter(({ user }) => user.username === account);
  const used = new Set(requests.map(described));
  expect([...used]).toEqual(expect.arrayContaining(['create deployments', 'patch compressionservices/status']));
  // An API server that was just started knows no roles for a moment: what it denied then, it allowed before and after.
  const allowed = new Set(requests.filter(({ responseStatus }) => (responseStatus?.code ?? 500) < 300).map(described));
  expect(denied(requests).filter((right) => !allowed.has(right))).toEqual([]);
  expect(
    [...used].filter((right) => /^(get|update) secrets|nodes|namespaces|^(delete|update) pods|\*/.test(right)),
  ).toEqual([]);
});
