// A release of the chart on an API server without nodes: its objects are there, and its controller runs as a process of
// this machine, with the environment and the rights that the chart gives it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { ApiCluster } from '../cluster/api.ts';
import { type AuditEvent, auditEvents } from '../cluster/audit.ts';
import { run } from '../cluster/command.ts';
import { ensureTools } from '../cluster/tools.ts';
import { Kubectl } from '../kubectl.ts';
import { areServed } from './definitions.ts';

const root = join(import.meta.dirname, '..', '..');

interface Variable {
  name: string;
  value?: string;
  valueFrom?: { fieldRef?: { fieldPath: string }; secretKeyRef?: { name: string; key: string } };
}

interface Manifest {
  kind: string;
  metadata: { labels?: Record<string, string> };
  spec: { template: { spec: { containers: { env: Variable[] }[] } } };
}

export interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}

export class Installed {
  readonly account: string;
  readonly #api: ApiCluster;
  readonly #namespace: string;
  readonly #release: string;
  #controller: ChildProcess | undefined;

  private constructor(api: ApiCluster, release: string, namespace: string) {
    this.#api = api;
    this.#release = release;
    this.#namespace = namespace;
    this.account = `system:serviceaccount:${namespace}:${release}`;
  }

  /** Applies the chart but its pods, and starts its controller. */
  static async start(
    api: ApiCluster,
    {
      release = 'quintet',
      namespace = 'quintet-system',
      values = [],
    }: { release?: string; namespace?: string; values?: string[] } = {},
  ): Promise<Installed> {
    const installed = new Installed(api, release, namespace);
    const { helm } = await ensureTools(['helm']);
    const set = values.flatMap((value) => ['--set', value]);
    const chart = join(root, 'helm/quintet');
    const rendered = await run(helm, ['template', release, chart, '-n', namespace, ...set]);
    const manifests = parseAllDocuments(rendered).map((document) => document.toJS() as Manifest);
    const kubectl = new Kubectl(api);
    await kubectl.run(['create', 'namespace', namespace]);
    const objects = manifests.filter(({ kind }) => kind !== 'Deployment' && kind !== 'Pod');
    await kubectl.apply(objects.map((object) => JSON.stringify(object)).join('\n---\n'));
    await areServed(kubectl);
    const [container] = manifests.find(isController)?.spec.template.spec.containers ?? [];
    const env: [string, string][] = [];
    for (const variable of container?.env ?? []) {
      const value = await installed.#valueOf(variable, kubectl);
      const known = new Map(env);
      env.push([variable.name, value.replaceAll(/\$\((\w+)\)/g, (whole, name: string) => known.get(name) ?? whole)]);
    }
    installed.#controller = spawn(process.execPath, ['--conditions=source', join(root, 'controller/src/main.ts')], {
      env: {
        ...process.env,
        ...Object.fromEntries(env),
        QUINTET_PORT: '0',
        KUBECONFIG: api.kubeconfigFor(installed.account),
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return installed;
  }

  /** What its account asked of the API server. */
  get requests(): AuditEvent[] {
    return auditEvents(this.#api.auditLogPath).filter(({ user }) => user.username === this.account);
  }

  /** Ends it as a rollout does; answers its exit code and signal. */
  async end(): Promise<unknown[]> {
    this.#controller?.kill('SIGTERM');
    return this.#controller ? await once(this.#controller, 'close') : [];
  }

  async kill(): Promise<void> {
    const controller = this.#controller;
    if (!controller || controller.exitCode !== null || controller.signalCode !== null) return;
    controller.kill('SIGKILL');
    await once(controller, 'close');
  }

  /** What the kubelet would fill in. */
  async #valueOf({ value, valueFrom }: Variable, kubectl: Kubectl): Promise<string> {
    if (value !== undefined) return value;
    if (valueFrom?.secretKeyRef) {
      const { name, key } = valueFrom.secretKeyRef;
      const secret = await kubectl.find<{ data?: Record<string, string> }>(['secret', name, '-n', this.#namespace]);
      return Buffer.from(secret?.data?.[key] ?? '', 'base64').toString('utf8');
    }
    const path = valueFrom?.fieldRef?.fieldPath;
    if (path === 'metadata.namespace') return this.#namespace;
    return path === undefined ? '' : `${this.#release}-0`;
  }
}

const isController = ({ kind, metadata }: Manifest) =>
  kind === 'Deployment' && metadata.labels?.['app.kubernetes.io/component'] === 'controller';

/** The kinds of requests that were refused for want of a right: admission answers 403 too, in a namespace that ends. */
export function denied(events: readonly AuditEvent[]): string[] {
  const isDenied = ({ annotations }: AuditEvent) => annotations?.['authorization.k8s.io/decision'] === 'forbid';
  return [...new Set(events.filter(isDenied).map(described))];
}

/** `patch fieldjobs/status`: the right that a request takes. */
export function described({ verb, objectRef }: AuditEvent): string {
  return `${verb} ${objectRef?.resource}${objectRef?.subresource ? `/${objectRef.subresource}` : ''}`;
}
