// What must hold of the chart: lint, every rendering against the schemas of a real API server and by its dry run,
// values that are refused, resources in pages and samples, other ways to install, and rights granted and withheld.
//   node --conditions=source e2e/check/chart.ts
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type ApiCluster, startApi } from '../cluster/api.ts';
import { ensureTools } from '../cluster/tools.ts';
import { schemaLocation, writeSchemas } from './kubeconform.ts';
import { checkWays, type Execution } from './ways.ts';

const root = resolve(import.meta.dirname, '../..');
const chart = join(root, 'helm/quintet');
const namespace = 'quintet-system';
const samples = join(root, 'docs/samples');

const renderings: Record<string, object> = {
  defaults: {},
  'a shard of the cluster': { shard: { selector: 'shard in (a,b)' }, leaderElection: { leaseName: 'quintet-a' } },
  'two namespaces': { namespaces: ['team-a', 'team-b'], fullnameOverride: 'teams' },
  'the least of everything': {
    replicas: 1,
    crds: { enabled: false },
    leaderElection: { enabled: false },
    activator: { enabled: false },
    rbac: { create: false, aggregateToDefaultRoles: false },
    serviceAccount: { create: false, name: 'given' },
    podDisruptionBudget: { enabled: false },
    topologySpreadConstraints: [],
    nodeSelector: {},
  },
  'every option': {
    nameOverride: 'conductor',
    crds: { keep: false, annotations: { 'example.com/team': 'platform' } },
    image: { registry: 'registry.example.com:5000', digest: `sha256:${'0'.repeat(64)}`, pullPolicy: 'Always' },
    imagePullSecrets: [{ name: 'registry' }],
    engines: {
      pullPolicy: 'Always',
      ...Object.fromEntries(
        ['field', 'evolution', 'compression', 'matcher', 'copy'].map((engine) => [
          engine,
          { image: { registry: 'registry.example.com', repository: `quintet/${engine}`, tag: 'v1' } },
        ]),
      ),
    },
    controller: { port: 9090, logLevel: 'debug', extraEnv: [{ name: 'NO_COLOR', value: '1' }] },
    serviceAccount: { annotations: { 'example.com/role': 'quintet' } },
    autoscaling: {
      prometheusURL: 'https://prometheus.example.com/api',
      limitToFreeGPUs: false,
      cpuHourPrice: 0.04,
      gpuHourPrice: 2,
    },
    activator: { replicas: 3, maxWaiting: 10, maxMebibytes: 1, holdSeconds: 60 },
    commonLabels: { 'example.com/team': 'platform' },
    deploymentAnnotations: { 'example.com/reload': 'yes' },
    podAnnotations: { 'example.com/scrape': 'yes' },
    podLabels: { 'example.com/tier': 'control' },
    priorityClassName: 'system-cluster-critical',
    tolerations: [{ key: 'node-role.kubernetes.io/control-plane', operator: 'Exists', effect: 'NoSchedule' }],
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/arch', operator: 'In', values: ['amd64'] }] }],
        },
      },
    },
    extraVolumes: [{ name: 'tmp', emptyDir: { sizeLimit: '64Mi' } }],
    extraVolumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
    service: { annotations: { 'example.com/scrape': 'yes' } },
    serviceMonitor: {
      enabled: true,
      labels: { release: 'prometheus' },
      relabelings: [{ targetLabel: 'cluster', replacement: 'one' }],
      metricRelabelings: [{ action: 'drop', sourceLabels: ['__name__'], regex: 'go_.*' }],
    },
    prometheusRule: { labels: { release: 'prometheus' } },
    networkPolicy: {
      enabled: true,
      from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
      apiServerCIDRs: ['10.0.0.0/8'],
    },
    argocd: { enabled: true },
    extraObjects: [
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'extra' }, data: { release: '{{ .Release.Name }}' } },
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-text\n',
    ],
  },
};

/** A cluster with the Prometheus Operator says that it knows this. */
const prometheusRule = 'monitoring.coreos.com/v1/PrometheusRule';

/** Values that are refused, and what the refusal names. */
const refused: [says: string, values: object, names: RegExp][] = [
  ['a misspelt key', { replica: 2 }, /replica/],
  ['a key of another level', { crds: { enable: true } }, /crds/],
  ['replicas as text', { replicas: 'two' }, /replicas/],
  ['two replicas without election', { replicas: 2, leaderElection: { enabled: false } }, /replicas|leaderElection/],
  ['a shard and namespaces', { shard: { selector: 'a=b' }, namespaces: ['team-a'] }, /not both/],
  ['an unknown pull policy', { image: { pullPolicy: 'Sometimes' } }, /pullPolicy/],
  ['a tag in the repository', { image: { repository: 'quintet/controller:1' } }, /repository/],
  ['a digest without its algorithm', { engines: { field: { image: { digest: 'abc' } } } }, /digest/],
  ['a size without unit', { stores: { postgres: { storage: { size: '8' } } } }, /size/],
  ['an unknown store', { stores: { mysql: { enabled: true } } }, /stores/],
  ['an unknown engine', { engines: { fields: {} } }, /engines/],
  ['a namespace that is none', { namespaces: ['Team_A'] }, /namespaces/],
  ['an unknown log level', { controller: { logLevel: 'loud' } }, /logLevel/],
  ['an activator that holds nothing', { activator: { maxWaiting: 0 } }, /maxWaiting/],
  ['a privileged port', { controller: { port: 80 } }, /port/],
  ['a misspelt setting of a probe', { probes: { liveness: { timeout: 5 } } }, /timeout/],
  ['a misspelt key of Argo CD', { argocd: { enable: true } }, /argocd/],
  ['an interval without unit', { serviceMonitor: { interval: '30' } }, /interval/],
];

/** What the controller's account may do, in its own namespace and in others. */
const rights: [verb: string, resource: string, inNamespace: string, whole: boolean, namespaced: boolean][] = [
  ['watch', 'fieldjobs.quintet.dev', 'team-a', true, true],
  ['watch', 'fieldjobs.quintet.dev', 'elsewhere', true, false],
  ['patch', 'fieldjobs.quintet.dev/status', 'team-a', true, true],
  ['patch', 'fieldjobs.quintet.dev', 'team-a', false, false],
  ['delete', 'fieldjobs.quintet.dev', 'team-a', false, false],
  ['create', 'jobs.batch', 'team-a', true, true],
  ['create', 'jobs.batch', 'elsewhere', true, false],
  ['delete', 'pods', 'team-a', false, false],
  ['create', 'endpointslices.discovery.k8s.io', 'team-a', true, true],
  ['create', 'endpointslices.discovery.k8s.io', 'elsewhere', true, false],
  ['list', 'nodes', 'team-a', true, false],
  ['watch', 'nodes', 'team-a', false, false],
  ['list', 'resourcequotas', 'team-a', true, true],
  ['list', 'resourcequotas', 'elsewhere', true, false],
  ['create', 'secrets', 'team-a', true, true],
  ['create', 'secrets', 'elsewhere', true, false],
  ['get', 'leases.coordination.k8s.io/quintet-controller', namespace, true, true],
  ['get', 'leases.coordination.k8s.io/another', namespace, false, false],
  ['create', 'leases.coordination.k8s.io', 'team-a', false, false],
];

const scratch = mkdtempSync(join(tmpdir(), 'quintet-chart-'));
const helmEnv = {
  ...process.env,
  HELM_CACHE_HOME: scratch,
  HELM_CONFIG_HOME: scratch,
  HELM_DATA_HOME: scratch,
  KUBECONFIG: join(scratch, 'none'),
};
let failures = 0;
let cluster: ApiCluster | undefined;
try {
  const tools = await ensureTools(['helm', 'kubeconform'], console.log);
  cluster = await startApi({ onProgress: console.log });
  checkAll(tools, cluster);
} finally {
  await cluster?.stop();
  rmSync(scratch, { recursive: true, force: true });
}
console.log(failures === 0 ? 'the chart holds' : `${failures} of the chart's checks failed`);
process.exit(failures === 0 ? 0 : 1);

function checkAll(tools: { helm: string; kubeconform: string }, api: ApiCluster): void {
  const kubectl = (args: string[], input?: string) =>
    execute(api.kubectl, ['--kubeconfig', api.kubeconfig, '--cache-dir', join(scratch, 'kubectl'), ...args], input);
  const helm = (args: string[]) => execute(tools.helm, args, undefined, helmEnv);
  const render = (values: object, flags: string[] = []) =>
    helm(['template', 'quintet', chart, '--namespace', namespace, '--values', valuesFile(values), ...flags]);

  for (const name of [namespace, 'team-a', 'team-b', 'elsewhere']) kubectl(['create', 'namespace', name]);
  const levels = ['enforce', 'warn'].map((mode) => `pod-security.kubernetes.io/${mode}=restricted`);
  kubectl(['label', 'namespace', namespace, ...levels]);

  const openApi = kubectl(['get', '--raw', '/openapi/v2']);
  if (!openApi.ok) return report('the API server publishes its schemas', openApi.output);
  const schemas = join(scratch, 'schemas');
  writeSchemas(openApi.stdout, schemas);

  for (const [name, values] of Object.entries(renderings)) {
    const lint = helm(['lint', '--strict', '--quiet', chart, '--values', valuesFile(values)]);
    report(`${name}: helm lint`, lint.ok ? '' : lint.output);
    const rendered = render(values, name === 'every option' ? ['--api-versions', prometheusRule] : []);
    report(`${name}: renders`, rendered.ok ? '' : rendered.output);
    if (!rendered.ok) continue;
    const conforms = execute(
      tools.kubeconform,
      // The Prometheus Operator's kinds: no API server here knows them.
      ['-strict', '-summary', '-skip', 'ServiceMonitor,PrometheusRule', '-schema-location', schemaLocation(schemas)],
      rendered.stdout,
    );
    report(`${name}: kubeconform`, conforms.ok ? '' : conforms.output);
    const known = documents(rendered.stdout).filter((text) => !/^kind: (ServiceMonitor|PrometheusRule)$/m.test(text));
    const accepted = kubectl(['apply', '--dry-run=server', '-f', '-'], known.join('\n---\n'));
    const insecure = /would violate PodSecurity.*/.exec(accepted.output)?.[0];
    report(
      `${name}: accepted by the API server, pods by the restricted standard`,
      accepted.ok ? insecure : accepted.output,
    );
  }

  for (const [says, values, names] of refused) {
    const answer = render(values);
    if (answer.ok) report(`refuses ${says}`, 'it was rendered');
    else report(`refuses ${says}`, names.test(answer.output) ? '' : `the message does not name it:\n${answer.output}`);
  }

  checkDefinitions(kubectl, render);
  checkPages(kubectl);
  checkWays({ helm: tools.helm, kubectl, render, report, scratch });
  checkRights(kubectl, render);
}

type Execute = (args: string[], input?: string) => Execution;
type Render = (values: object, flags?: string[]) => Execution;

function checkDefinitions(kubectl: Execute, render: Render): void {
  const definitions = documents(render({}).stdout).filter((text) => /^kind: CustomResourceDefinition$/m.test(text));
  const installed = kubectl(['apply', '--server-side', '-f', '-'], definitions.join('\n---\n'));
  const established = kubectl(['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all']);
  report(
    'its definitions install and are established',
    installed.ok && established.ok ? '' : installed.output + established.output,
  );
  const files = readdirSync(samples).filter((name) => name.endsWith('.yaml'));
  // Discovery may hear of a definition a moment after it is established.
  const accepted = settled(
    () => kubectl(['apply', '--dry-run=server', '-f', samples]),
    ({ ok }) => ok,
  );
  report(`${files.length} files of docs/samples are accepted`, accepted.ok ? '' : accepted.output);
}

/** Resources written out in pages for people. */
function checkPages(kubectl: Execute): void {
  const kindPages = readdirSync(join(root, 'docs/kinds')).map((name) => join('docs/kinds', name));
  for (const page of ['README.md', ...kindPages]) {
    const blocks = [...readFileSync(join(root, page), 'utf8').matchAll(/^```yaml\n(apiVersion: [\s\S]*?)^```$/gm)];
    if (blocks.length === 0) continue;
    const accepted = kubectl(['apply', '--dry-run=server', '-f', '-'], blocks.map(([, text]) => text).join('---\n'));
    report(`${blocks.length} resources in ${page} are accepted`, accepted.ok ? '' : accepted.output);
  }
}

function checkRights(kubectl: Execute, render: Render): void {
  const account = `system:serviceaccount:${namespace}:quintet`;
  for (const [mode, values] of Object.entries({ whole: {}, namespaced: { namespaces: ['team-a', 'team-b'] } })) {
    const roles = render(values, [
      '--show-only',
      'templates/rbac.yaml',
      '--show-only',
      'templates/serviceaccount.yaml',
    ]);
    const applied = kubectl(['apply', '-f', '-'], roles.stdout);
    if (!applied.ok) report(`rights (${mode})`, applied.output);
    const wrong = rights.flatMap(([verb, resource, inNamespace, whole, namespaced]) => {
      const want = mode === 'whole' ? whole : namespaced;
      const [type = '', part] = resource.split('/');
      const target = part === 'status' ? [type, '--subresource=status'] : [resource];
      const ask = ['auth', 'can-i', verb, ...target, '--namespace', inNamespace, '--as', account];
      // Rights come into force a moment after they were written, and so do those that were taken.
      const may = settled(
        () => kubectl(ask).stdout.trim().startsWith('yes'),
        (said) => said === want,
      );
      return may === want ? [] : [`${verb} ${resource} in ${inNamespace}: ${may ? 'allowed' : 'denied'}`];
    });
    report(`rights (${mode}): ${rights.length} granted and withheld as meant`, wrong.join('\n'));
    kubectl(['delete', '-f', '-'], roles.stdout);
  }
}

/** Looks again for some seconds, until what is seen is as it should be. @returns What was seen last. */
function settled<T>(look: () => T, isAsItShould: (seen: T) => boolean): T {
  for (let tries = 1; ; tries++) {
    const seen = look();
    if (isAsItShould(seen) || tries === 10) return seen;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  }
}

function execute(command: string, args: string[], input?: string, env: NodeJS.ProcessEnv = process.env): Execution {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    env,
    maxBuffer: 64 << 20,
    timeout: 120_000,
    ...(input !== undefined && { input }),
  });
  return {
    ok: status === 0,
    stdout: stdout ?? '',
    output: [error?.message, stderr, stdout].filter(Boolean).join('\n'),
  };
}

/** One line for what holds; what does not, with why. */
function report(shows: string, problem: string | undefined): void {
  console.log(`${problem ? '✗' : '✓'} ${shows}`);
  if (!problem) return;
  failures += 1;
  console.log(problem.trim().slice(0, 4000).replaceAll(/^/gm, '    '));
}

function valuesFile(values: object): string {
  const path = join(mkdtempSync(join(scratch, 'values-')), 'values.json');
  writeFileSync(path, JSON.stringify(values));
  return path;
}

function documents(rendered: string): string[] {
  return rendered.split(/^---$/m).filter((text) => /^kind:/m.test(text));
}
