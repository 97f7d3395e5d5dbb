// What stands in the conductor's way in a cluster that is not its own: each is named in a condition and an Event, none
// is forced aside, and the resource comes to rest by itself once it is gone.
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pause } from '../../controller/src/kube/backoff.ts';
import type { Client } from '../../controller/src/kube/client.ts';
import type { KubeObject, ResourceType } from '../../controller/src/kube/types.ts';
import { type ApiCluster, startApi } from '../cluster/api.ts';
import { createAuthority, issueCert } from '../cluster/certs.ts';
import { directClient } from '../faults/things.ts';
import type { Kubectl } from '../kubectl.ts';
import {
  Conductor,
  compressionService,
  core,
  eventReasons,
  hasCondition,
  installDefinitions,
  type Resource,
  typeOf,
  until,
} from './conductor.ts';

const children = {
  ConfigMap: core('configmaps', 'ConfigMap'),
  ServiceAccount: core('serviceaccounts', 'ServiceAccount'),
  NetworkPolicy: core('networkpolicies', 'NetworkPolicy', 'networking.k8s.io'),
  Service: core('services', 'Service'),
  PodDisruptionBudget: core('poddisruptionbudgets', 'PodDisruptionBudget', 'policy'),
  Deployment: core('deployments', 'Deployment', 'apps'),
} as const;
const quotas = core('resourcequotas', 'ResourceQuota');
const cluster = (type: ResourceType): ResourceType => ({ ...type, namespaced: false });
const admission = 'admissionregistration.k8s.io';
const policies = cluster(core('validatingadmissionpolicies', 'ValidatingAdmissionPolicy', admission));
const bindings = cluster(core('validatingadmissionpolicybindings', 'ValidatingAdmissionPolicyBinding', admission));
const webhooks = cluster(core('validatingwebhookconfigurations', 'ValidatingWebhookConfiguration', admission));

let api: ApiCluster;
let direct: Client;
let kubectl: Kubectl;
let conductor: Conductor;
beforeAll(async () => {
  api = await startApi();
  kubectl = await installDefinitions(api);
  direct = await directClient(api.kubeconfig);
  conductor = await Conductor.open(api);
  conductor.start();
});
afterAll(async () => {
  await conductor?.stop();
  await direct?.close();
  await api?.stop();
});

/** The resource says what is in the way, in a condition and an Event; without it, it becomes Ready. */
async function isNamedAndHeals(resource: Resource, want: Named, heal: () => Promise<void>): Promise<void> {
  await direct.apply(typeOf(resource.kind), { ...resource });
  await hasCondition(direct, resource, { status: 'True', ...want });
  await hasCondition(direct, resource, { type: 'Ready', status: 'False' });
  await until(async () => expect(await eventReasons(direct, resource)).toContain(want.reason));
  await heal();
  await hasCondition(direct, resource, { type: 'Ready', status: 'True', observedGeneration: 1 });
  const { status } = await direct.get<Resource>(typeOf(resource.kind), resource.metadata);
  const troubled = status?.conditions?.filter(({ type, status: holds }) => type !== 'Ready' && holds === 'True');
  expect(troubled, 'no trouble is left').toEqual([]);
}

interface Named {
  type: 'Stalled' | 'Reconciling';
  reason: string;
  message?: unknown;
}

async function namespaceOf(name: string): Promise<string> {
  await kubectl.run(['create', 'namespace', name]);
  return name;
}

const labelsOf = (app: string) => ({ matchLabels: { app } });
const pod = { metadata: { labels: { app: 'theirs' } }, spec: { containers: [{ name: 'c', image: 'theirs:1' }] } };
const foreign: Record<keyof typeof children, object> = {
  ConfigMap: { data: { whose: 'theirs' } },
  ServiceAccount: { automountServiceAccountToken: true },
  NetworkPolicy: { spec: { podSelector: labelsOf('theirs') } },
  Service: { spec: { ports: [{ port: 9999 }], selector: { app: 'theirs' } } },
  PodDisruptionBudget: { spec: { minAvailable: 1, selector: labelsOf('theirs') } },
  Deployment: { spec: { replicas: 1, selector: labelsOf('theirs'), template: pod } },
};

describe('an object of somebody else with the name of a child', () => {
  test.each(Object.entries(children))('%s is never adopted', async (kind, type) => {
    const namespace = await namespaceOf(`foreign-${kind.toLowerCase()}`);
    const metadata = { namespace, name: 'news-compression' };
    const apiVersion = type.group === '' ? type.version : `${type.group}/${type.version}`;
    const made = await direct.create(type, { apiVersion, kind, metadata, ...foreign[kind as keyof typeof foreign] });
    const message = expect.stringContaining(`${kind} "news-compression" was made by somebody else`);
    await isNamedAndHeals(
      compressionService(namespace, 'news'),
      { type: 'Stalled', reason: 'NameConflict', message },
      async () => {
        expect(await direct.get(type, metadata), 'theirs is as they made it').toEqual(made);
        await direct.delete(type, metadata);
      },
    );
  });
});

test('a quota that is used up', async () => {
  const namespace = await namespaceOf('quota');
  const used = { hard: { 'count/deployments.apps': '0' }, used: { 'count/deployments.apps': '0' } };
  const metadata = { namespace, name: 'none' };
  await direct.apply(quotas, { apiVersion: 'v1', kind: 'ResourceQuota', metadata, spec: { hard: used.hard } });
  // No controller computes the usage here; the quota's own status makes it count.
  await direct.patch(quotas, metadata, { status: used }, { subresource: 'status' });
  await isRefused(namespace, 'exceeded quota');
  const message = expect.stringContaining('count/deployments.apps');
  await isNamedAndHeals(
    compressionService(namespace, 'news'),
    { type: 'Reconciling', reason: 'QuotaExceeded', message },
    () => direct.delete(quotas, metadata),
  );
});

const deploymentsIn = (namespace: string) => ({
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
  resourceRules: [{ apiGroups: ['apps'], apiVersions: ['v1'], operations: ['*'], resources: ['deployments'] }],
});

test('a ValidatingAdmissionPolicy that refuses a child', async () => {
  const namespace = await namespaceOf('policy');
  const metadata = { name: 'no-deployments' };
  const head = { apiVersion: `${admission}/v1`, metadata };
  const validations = [{ expression: 'false', message: 'not on a Saturday' }];
  await direct.apply(policies, {
    ...head,
    kind: 'ValidatingAdmissionPolicy',
    spec: { failurePolicy: 'Fail', matchConstraints: deploymentsIn(namespace), validations },
  });
  const binding = { policyName: metadata.name, validationActions: ['Deny'] };
  await direct.apply(bindings, { ...head, kind: 'ValidatingAdmissionPolicyBinding', spec: binding });
  await isRefused(namespace, 'not on a Saturday');
  await isNamedAndHeals(
    compressionService(namespace, 'news'),
    { type: 'Reconciling', reason: 'AdmissionDenied', message: expect.stringContaining('not on a Saturday') },
    async () => {
      await direct.delete(bindings, metadata);
      await direct.delete(policies, metadata);
    },
  );
});

describe('a webhook of somebody else', () => {
  test('that refuses a child', async () => {
    const namespace = await namespaceOf('webhook');
    const { server, caBundle, url } = await refusingWebhook('ask the platform team');
    try {
      await applyWebhook(namespace, { url, caBundle });
      await isRefused(namespace, 'ask the platform team');
      await isNamedAndHeals(
        compressionService(namespace, 'news'),
        { type: 'Reconciling', reason: 'AdmissionDenied', message: expect.stringContaining('ask the platform team') },
        () => direct.delete(webhooks, { name: `hook-${namespace}` }),
      );
    } finally {
      server.close();
    }
  });

  test('that does not answer', async () => {
    const namespace = await namespaceOf('webhook-down');
    await applyWebhook(namespace, { url: 'https://127.0.0.1:1/' });
    await isRefused(namespace, 'failed calling webhook');
    await isNamedAndHeals(
      compressionService(namespace, 'news'),
      { type: 'Reconciling', reason: 'WebhookUnavailable', message: expect.stringContaining('hook.example.com') },
      () => direct.delete(webhooks, { name: `hook-${namespace}` }),
    );
  });
});

test('a child that cannot be changed into what is desired', async () => {
  const namespace = await namespaceOf('immutable');
  const resource = compressionService(namespace, 'news');
  await direct.apply(typeOf(resource.kind), { ...resource });
  await hasCondition(direct, resource, { type: 'Ready', status: 'True' });
  const child = { namespace, name: 'news-compression' };
  const live = await direct.get<KubeObject & { spec: { selector: object; template: typeof pod } }>(
    children.Deployment,
    child,
  );
  // As an older version, or somebody with the same labels, might have left it: the selector is immutable.
  await conductor.stop();
  await direct.delete(children.Deployment, child);
  const { labels = {}, annotations = {}, ownerReferences = [] } = live.metadata;
  const metadata = { ...child, labels, annotations, ownerReferences };
  await direct.create(children.Deployment, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: { selector: labelsOf('theirs'), template: pod },
  });
  conductor = await Conductor.open(api);
  conductor.start();
  await hasCondition(direct, resource, {
    type: 'Stalled',
    status: 'True',
    reason: 'ChildRefused',
    message: expect.stringContaining('Deployment "news-compression" is refused'),
  });
  await until(async () => expect(await eventReasons(direct, resource)).toContain('ChildRefused'));
  await direct.delete(children.Deployment, child);
  await hasCondition(direct, resource, { type: 'Ready', status: 'True' });
});

test('a namespace that is deleted meanwhile', async () => {
  const namespace = await namespaceOf('leaving');
  const resource = compressionService(namespace, 'news');
  await direct.apply(typeOf(resource.kind), { ...resource });
  await hasCondition(direct, resource, { type: 'Ready', status: 'True' });
  await kubectl.run(['delete', 'namespace', namespace, '--wait=false']);
  // The children go first, as the namespace's controller would have it: they cannot be made again.
  await direct.delete(children.Deployment, { namespace, name: 'news-compression' });
  await hasCondition(direct, resource, { type: 'Reconciling', status: 'True', reason: 'NamespaceTerminating' });
  await direct.delete(typeOf(resource.kind), resource.metadata);
  for (const [, type] of Object.entries(children)) {
    const { items } = await direct.list(type, { namespace });
    for (const { metadata } of items) await direct.delete(type, metadata);
  }
  await finalize(namespace);
  await namespaceOf(namespace);
  // Admission may for a moment still know the one of before, which was ending.
  await until(async () => void (await direct.apply(typeOf(resource.kind), { ...resource })));
  await hasCondition(direct, resource, { type: 'Ready', status: 'True', observedGeneration: 1 });
  expect((await direct.list(children.Deployment, { namespace })).items).toHaveLength(1);
});

test('names at the limit: children of two resources that differ in the last letter alone never meet', async () => {
  const namespace = await namespaceOf('long-names');
  const longest = 'n'.repeat(51);
  const both = ['a', 'b'].map((end) => compressionService(namespace, `${longest}${end}`));
  for (const resource of both) await direct.apply(typeOf(resource.kind), { ...resource });
  for (const resource of both) await hasCondition(direct, resource, { type: 'Ready', status: 'True' });
  const { items } = await direct.list<KubeObject>(children.Deployment, { namespace });
  expect(new Set(items.map(({ metadata }) => metadata.ownerReferences?.[0]?.name))).toEqual(
    new Set(both.map(({ metadata }) => metadata.name)),
  );
  // Drift of each is noticed as its own.
  const [first] = items;
  await direct.delete(children.Deployment, first?.metadata ?? { name: '' });
  await until(async () => expect((await direct.list(children.Deployment, { namespace })).items).toHaveLength(2));
  const tooLong = compressionService(namespace, `${longest}ab`);
  await expect(direct.apply(typeOf(tooLong.kind), { ...tooLong })).rejects.toThrow('at most 52 characters');
});

/** Admission takes a moment to hear of what it is told: a Deployment of nobody's is refused from then on. */
async function isRefused(namespace: string, why: string): Promise<void> {
  const probe = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace, name: `probe-${Date.now()}` },
    spec: { selector: labelsOf('theirs'), template: pod },
  };
  await until(async () => {
    const said = await direct.create(children.Deployment, probe).then(
      () => 'taken',
      (error: Error) => error.message,
    );
    if (said === 'taken') await direct.delete(children.Deployment, probe.metadata);
    expect(said).toContain(why);
  });
}

async function applyWebhook(namespace: string, clientConfig: object): Promise<void> {
  const { namespaceSelector, resourceRules } = deploymentsIn(namespace);
  await direct.apply(webhooks, {
    apiVersion: `${admission}/v1`,
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: `hook-${namespace}` },
    webhooks: [
      {
        name: 'hook.example.com',
        clientConfig,
        rules: resourceRules,
        namespaceSelector,
        failurePolicy: 'Fail',
        sideEffects: 'None',
        timeoutSeconds: 2,
        admissionReviewVersions: ['v1'],
      },
    ],
  });
}

/** A webhook on this machine that says no to everything. */
async function refusingWebhook(message: string): Promise<{ server: Server; url: string; caBundle: string }> {
  const authority = createAuthority('webhook');
  const own = issueCert(authority, 'webhook', { commonName: '127.0.0.1', names: ['127.0.0.1'] });
  const server = createServer({ key: own.key, cert: own.cert }, (request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const review = JSON.parse(Buffer.concat(parts).toString()) as { request: { uid: string } };
      const answer = { uid: review.request.uid, allowed: false, status: { message } };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { server, url: `https://127.0.0.1:${port}/`, caBundle: Buffer.from(authority.cert).toString('base64') };
}

/** What the namespace's controller does once everything in it is gone; none runs here. */
async function finalize(namespace: string): Promise<void> {
  const found = await kubectl.json<{ spec: object }>(['get', 'namespace', namespace]);
  const path = `/api/v1/namespaces/${namespace}/finalize`;
  await kubectl.run(['replace', '--raw', path, '-f', '-'], {
    input: JSON.stringify({ ...found, spec: { finalizers: [] } }),
  });
  await until(async () => expect(await kubectl.find(['namespace', namespace])).toBeUndefined());
  // A standing watch may still tell of it.
  await pause(200);
}
