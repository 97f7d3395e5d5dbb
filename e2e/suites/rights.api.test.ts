// The chart's rights and settings suffice: the controller, started with what the chart gives it and as its account,
// reconciles, and the API server denies it nothing.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { type ApiCluster, startApi } from '../cluster/api.ts';
import { type AuditEvent, auditEvents, isWrite } from '../cluster/audit.ts';
import { run } from '../cluster/command.ts';
import { ensureTools } from '../cluster/tools.ts';
import { eventually, Kubectl } from '../kubectl.ts';

const root = join(import.meta.dirname, '..', '..');
const namespace = 'quintet-system';
const account = `system:serviceaccount:${namespace}:quintet`;

interface Manifest {
  kind: string;
  spec: { template: { spec: { containers: { env: Variable[] }[] } } };
}

interface Variable {
  name: string;
  value?: string;
  valueFrom?: { fieldRef: { fieldPath: string } };
}

let api: ApiCluster | undefined;
let controller: ChildProcess | undefined;

afterEach(async () => {
  if (controller && controller.exitCode === null) {
    controller.kill('SIGKILL');
    await once(controller, 'close');
  }
  await api?.stop();
});

test.each([
  ['the whole cluster', []],
  ['one namespace', ['--set', 'namespaces={default}']],
])('a FieldJob in %s is begun, suspended and deleted without a denied request', async (_scope, values) => {
  const { auditLogPath } = (api = await startApi());
  const requests = () => auditEvents(auditLogPath).filter(({ user }) => user.username === account);
  const kubectl = new Kubectl(api);
  const env = await install(kubectl, values);
  controller = startController(api, env);

  await kubectl.run(['apply', '-f', join(root, 'docs/samples/fieldjob.yaml')]);
  const phase = (wanted: string) =>
    eventually(
      `the FieldJob is ${wanted}`,
      async () => {
        const found = await kubectl.find<{ status?: { phase?: string } }>(['fieldjob', 'levitator']);
        return found?.status?.phase === wanted;
      },
      { timeoutMs: 40_000, describe: async () => `denied: ${denied(requests()).join(', ') || 'nothing'}` },
    );
  await phase('Pending');
  await kubectl.run(['patch', 'fieldjob', 'levitator', '--type=merge', '--patch={"spec":{"suspend":true}}']);
  await phase('Suspended');
  await eventually('an Event tells of it', async () => (await kubectl.run(['get', 'events'])).includes('Suspended'));
  await kubectl.run(['delete', 'fieldjob', 'levitator']);
  controller.kill('SIGTERM');
  expect(await once(controller, 'close')).toEqual([0, null]);

  expect(denied(requests())).toEqual([]);
  expect([...new Set(requests().filter(isWrite).map(described))].sort()).toEqual([
    'create configmaps',
    'create events',
    'create jobs',
    'create leases',
    'create networkpolicies',
    'patch events',
    'patch fieldjobs/status',
    'patch jobs',
    'update leases',
  ]);
});

function denied(events: AuditEvent[]): string[] {
  return [...new Set(events.filter(({ responseStatus }) => responseStatus?.code === 403).map(described))];
}

function described({ verb, objectRef }: AuditEvent): string {
  return `${verb} ${objectRef?.resource}${objectRef?.subresource ? `/${objectRef.subresource}` : ''}`;
}

/** Applies the chart but its pods. @returns the environment of the controller's container. */
async function install(kubectl: Kubectl, values: string[]): Promise<NodeJS.ProcessEnv> {
  const { helm } = await ensureTools(['helm']);
  const rendered = await run(helm, ['template', 'quintet', join(root, 'helm/quintet'), '-n', namespace, ...values]);
  const manifests = parseAllDocuments(rendered).map((document) => document.toJS() as Manifest);
  const objects = manifests.filter(({ kind }) => kind !== 'Deployment' && kind !== 'Pod');
  await kubectl.run(['create', 'namespace', namespace]);
  await kubectl.apply(objects.map((object) => JSON.stringify(object)).join('\n---\n'));
  await kubectl.run(['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all']);
  const [container] = manifests.find(({ kind }) => kind === 'Deployment')?.spec.template.spec.containers ?? [];
  return Object.fromEntries(container?.env.map((variable) => [variable.name, valueOf(variable)]) ?? []);
}

function startController(cluster: ApiCluster, env: NodeJS.ProcessEnv): ChildProcess {
  return spawn(process.execPath, ['--conditions=source', join(root, 'controller/src/main.ts')], {
    env: { ...process.env, ...env, QUINTET_PORT: '0', KUBECONFIG: cluster.kubeconfigFor(account) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** What the kubelet would fill in. */
function valueOf({ value, valueFrom }: Variable): string {
  return value ?? (valueFrom?.fieldRef.fieldPath === 'metadata.namespace' ? namespace : 'controller-0');
}
