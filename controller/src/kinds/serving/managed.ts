// Runtime Managed of a CopyEngine: a server of language models with OpenAI's API, which the operator runs, behind the engine's own pods as its gateway.
import type { CopyEngine } from '@quintet/crds';
import { claimsRoot } from '@quintet/crds';
import type { KubeObject } from '../../kube/types.ts';
import { type Deployment, deployment } from '../../objects/deployment.ts';
import { firstBackend, gpuResources, resourceClaimTemplates } from '../../objects/gpu.ts';
import { childMeta, childName, hashOf, selectorLabels } from '../../objects/meta.ts';
import type { NetworkPolicy } from '../../objects/networkpolicy.ts';
import { podTemplate, variables } from '../../objects/pod.ts';
import { schedulingOf } from '../../objects/scheduling.ts';
import { type Service, serviceUrl } from '../../objects/service.ts';
import { TerminalError } from '../../reconcile/errors.ts';
import type { Served } from './engines.ts';
import { mainName } from './workload.ts';

type Managed = NonNullable<CopyEngine['spec']['managed']>;

const cacheFolder = '/var/cache/quintet';
/** Weights of some hundred gigabytes are read, and kernels compiled, in less. */
const startupSeconds = 3600;
const forgetSeconds = 5;
const drainSeconds = 120;

interface Launch {
  command?: string[];
  args: string[];
}

/** How each server is told what to do. Later arguments win, so the user's come last. */
const launches: Record<Managed['server'], (of: Task) => Launch> = {
  VLLM: ({ model, name, port, gpus, contextTokens }) => ({
    // Images start either the command or the module that it replaced; the command is in all of them.
    command: ['vllm', 'serve', ...(model ? [model] : [])],
    args: [
      ...(model ? ['--served-model-name', name] : []),
      '--host',
      '0.0.0.0',
      '--port',
      port,
      ...(gpus > 1 ? ['--tensor-parallel-size', String(gpus)] : []),
      ...(contextTokens ? ['--max-model-len', contextTokens] : []),
    ],
  }),
  SGLang: ({ model, name, port, gpus, contextTokens }) => ({
    command: ['python3', '-m', 'sglang.launch_server'],
    args: [
      ...(model ? ['--model-path', model, '--served-model-name', name] : []),
      '--host',
      '0.0.0.0',
      '--port',
      port,
      ...(gpus > 1 ? ['--tp', String(gpus)] : []),
      ...(contextTokens ? ['--context-length', contextTokens] : []),
    ],
  }),
  TGI: ({ model, port, gpus, contextTokens }) => ({
    args: [
      ...(model ? ['--model-id', model] : []),
      '--hostname',
      '0.0.0.0',
      '--port',
      port,
      ...(gpus > 1 ? ['--num-shard', String(gpus)] : []),
      ...(contextTokens ? ['--max-total-tokens', contextTokens] : []),
    ],
  }),
  LlamaServer: ({ model, name, port, contextTokens, gpuLayers }) => ({
    args: [
      ...(model ? ['--model', model, '--alias', name] : []),
      '--host',
      '0.0.0.0',
      '--port',
      port,
      ...(contextTokens ? ['--ctx-size', contextTokens] : []),
      ...(gpuLayers === undefined ? [] : ['--n-gpu-layers', String(gpuLayers)]),
    ],
  }),
};

interface Task {
  /** Path of the model in the pod. */
  model: string | undefined;
  /** What the API calls it. */
  name: string;
  port: string;
  gpus: number;
  contextTokens: string | undefined;
  gpuLayers: number | undefined;
}

export const isManaged = (resource: Served): resource is CopyEngine & { spec: { managed: Managed } } =>
  resource.kind === 'CopyEngine' && resource.spec.runtime === 'Managed' && resource.spec.managed !== undefined;

/** The resource as its gateway sees it: no model, adapters or GPU of its own, and the server as its endpoint. */
export function gatewayOf<R extends Served>(resource: R): R {
  if (!isManaged(resource)) return resource;
  const { managed, model, adapters: _, ...spec } = resource.spec;
  const { server, image, args } = managed;
  const endpoint = {
    name: 'server',
    url: `${serviceUrl(serverService(resource))}:${managed.port}/v1`,
    ...(model && managed.server !== 'TGI' && { model: modelName(resource) }),
    // What another model wrote, or another build of it, is no answer of this one.
    revision: [model?.revision, hashOf({ server, image, args, model })].filter((part) => part !== undefined).join(':'),
    weight: 1,
    maxConcurrent: 1024,
    timeout: '60s',
  };
  return {
    ...resource,
    spec: {
      ...spec,
      gpu: { policy: 'None', count: 1, fallbackAfter: spec.gpu.fallbackAfter },
      openai: { endpoints: [endpoint], fallbackDuringStream: 'Restart' },
    },
  };
}

/** @throws TerminalError where the model is no file or folder of a claim. */
export function managedServer(resource: Served): KubeObject[] {
  if (!isManaged(resource)) return [];
  const name = serverName(resource);
  return [
    serverService(resource),
    serverIsolation(resource),
    ...resourceClaimTemplates(resource, name, resource.spec.gpu),
    serverDeployment(resource),
  ];
}

type ManagedEngine = CopyEngine & { spec: { managed: Managed } };

const serverName = ({ metadata }: CopyEngine): string => childName(metadata.name, 'copy-server');

/** Not the labels of the resource's other pods: the server is neither scaled, nor counted, nor reached as they are. */
const serverSelector = (resource: CopyEngine): Record<string, string> => ({
  'app.kubernetes.io/name': 'copyengine-server',
  'app.kubernetes.io/instance': serverName(resource),
});

function serverService(resource: ManagedEngine): Service {
  const { port } = resource.spec.managed;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: childMeta(resource, serverName(resource), 'server'),
    spec: {
      type: 'ClusterIP',
      selector: serverSelector(resource),
      ports: [{ name: 'api', port, targetPort: 'api', protocol: 'TCP', appProtocol: 'http' }],
    },
  };
}

/** Servers ask nobody for a token: only the gateway may reach them. */
function serverIsolation(resource: ManagedEngine): NetworkPolicy {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: childMeta(resource, serverName(resource), 'isolation'),
    spec: {
      podSelector: { matchLabels: serverSelector(resource) },
      policyTypes: ['Ingress'],
      ingress: [
        {
          from: [{ podSelector: { matchLabels: selectorLabels(resource) } }],
          ports: [{ protocol: 'TCP', port: 'api' }],
        },
      ],
    },
  };
}

function serverDeployment(resource: ManagedEngine): Deployment {
  const { spec } = resource;
  const { managed, gpu, pod = {} } = spec;
  const name = serverName(resource);
  const selector = serverSelector(resource);
  const backend = firstBackend(gpu);
  const claim = spec.model?.source.persistentVolumeClaim;
  const { command, args } = launches[managed.server]({
    model: modelPath(resource),
    name: modelName(resource),
    port: String(managed.port),
    gpus: gpu.policy === 'None' ? 1 : (managed.tensorParallelSize ?? gpu.count),
    contextTokens: spec.model && String(spec.model.contextTokens),
    gpuLayers: spec.model?.gpuLayers,
  });
  const cache = managed.cacheVolume
    ? { persistentVolumeClaim: { claimName: managed.cacheVolume.claimName } }
    : { emptyDir: {} };
  const template = podTemplate({
    ...(pod.imagePullSecrets && { imagePullSecrets: pod.imagePullSecrets }),
    ...(pod.securityContext && { securityContext: pod.securityContext }),
    serviceAccountName: pod.serviceAccountName ?? mainName(resource),
    labels: { ...pod.labels, ...selector, 'app.kubernetes.io/part-of': 'quintet' },
    annotations: { ...pod.annotations, 'quintet.dev/model': hashOf(spec.model ?? {}) },
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: forgetSeconds + drainSeconds,
    scheduling: schedulingOf(resource, { backend, claimTemplate: name, selector }),
    container: {
      image: managed.image,
      imagePullPolicy: 'IfNotPresent',
      args: [...args, ...(managed.args ?? [])],
      env: variables(pod.env, {
        HOME: cacheFolder,
        XDG_CACHE_HOME: cacheFolder,
        HF_HOME: `${cacheFolder}/huggingface`,
        // Compilers ask for the user's name, which an id of no account does not have.
        USER: 'quintet',
      }),
      resources: gpuResources(gpu, backend, managed.resources),
      mounts: [
        { name: 'cache', mountPath: cacheFolder },
        { name: 'shm', mountPath: '/dev/shm' },
        ...(claim ? [{ name: 'model', mountPath: `${claimsRoot}/${claim.claimName}`, readOnly: true }] : []),
      ],
    },
    volumes: [
      { name: 'cache', ...cache },
      // GPUs that share a model talk through it; the usual 64 MiB are too few.
      { name: 'shm', emptyDir: { medium: 'Memory', sizeLimit: '2Gi' } },
      ...(claim ? [{ name: 'model', persistentVolumeClaim: { claimName: claim.claimName, readOnly: true } }] : []),
    ],
  });
  const [container] = template.spec['containers'] as Record<string, unknown>[];
  template.spec['containers'] = [
    { ...container, name: 'server', ...(command && { command }), ...probes(managed.port) },
  ];
  return deployment(resource, {
    name,
    component: 'server',
    replicas: spec.suspend ? 0 : managed.replicas,
    selector,
    template,
    queueName: spec.scheduling.queueName,
    progressDeadlineSeconds: startupSeconds + 300,
  });
}

function probes(port: number): Record<string, unknown> {
  const health = { httpGet: { path: '/health', port: 'api' } };
  return {
    ports: [{ name: 'api', containerPort: port, protocol: 'TCP' }],
    startupProbe: { ...health, periodSeconds: 5, timeoutSeconds: 15, failureThreshold: startupSeconds / 5 },
    readinessProbe: { ...health, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 2 },
    // A server that computes may answer late; one that hangs does not for minutes.
    livenessProbe: { ...health, periodSeconds: 20, timeoutSeconds: 15, failureThreshold: 6 },
    lifecycle: { preStop: { sleep: { seconds: forgetSeconds } } },
  };
}

/** The file's or folder's name, as `model` of requests; the resource's where there is none. */
function modelName({ spec, metadata }: ManagedEngine): string {
  const path = spec.model?.source.persistentVolumeClaim?.path;
  const last = path?.split('/').findLast((part) => part !== '' && part !== '.');
  return last?.replace(/\.gguf$/i, '') ?? metadata.name;
}

function modelPath({ spec }: ManagedEngine): string | undefined {
  if (!spec.model) return undefined;
  const { persistentVolumeClaim: claim } = spec.model.source;
  if (claim) return `${claimsRoot}/${claim.claimName}/${claim.path}`;
  throw new TerminalError(
    'ModelSourceUnsupported',
    'with runtime Managed the model comes from model.source.persistentVolumeClaim; without model, managed.args name one',
  );
}
