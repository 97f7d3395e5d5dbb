// Pod template that the "restricted" pod security standard admits: non-root, read-only root, no token, no capabilities.

import type { PodTemplate } from './types.ts';

type ResourceList = Record<string, string | number>;

export interface ResourceRequirements {
  requests?: ResourceList;
  limits?: ResourceList;
  /** Claims of the pod that the container uses. */
  claims?: { name: string }[];
}

export interface Variable {
  name: string;
  value?: string;
  secretKeyRef?: { name: string; key: string };
}

export interface ContainerSettings {
  image: string;
  imagePullPolicy: string;
  args: string[];
  env?: readonly Variable[];
  envFrom?: { secretRef: { name: string } }[];
  resources: ResourceRequirements;
  mounts: { name: string; mountPath: string; subPath?: string; readOnly?: boolean }[];
  /** Answers HTTP on this port, with health and readiness pages. */
  http?: HttpSettings;
}

export interface HttpSettings {
  port: number;
  /** How long a start may take before the container is restarted. */
  startupSeconds: number;
  /** Endpoints forget a pod while it still answers: the time they are given. */
  drainSeconds: number;
}

export interface PodSettings {
  labels: Record<string, string>;
  annotations?: Record<string, string>;
  container: ContainerSettings;
  volumes: { name: string; [source: string]: unknown }[];
  /** Room in `/tmp`: above it the kubelet evicts the pod. 1Gi when left out. */
  tmpSize?: string;
  restartPolicy: 'Never' | 'Always';
  terminationGracePeriodSeconds: number;
  /** Fields of the pod spec that say where it may run. */
  scheduling: Record<string, unknown>;
  imagePullSecrets?: { name: string }[];
  serviceAccountName?: string;
  /** Ids that replace those of the image's own user. */
  securityContext?: { runAsUser?: number; runAsGroup?: number; fsGroup?: number };
}

const runAs = 65532;

export function podTemplate(settings: PodSettings): PodTemplate {
  const { labels, annotations, container, securityContext } = settings;
  return {
    metadata: { labels, ...(annotations && { annotations }) },
    spec: defined({
      restartPolicy: settings.restartPolicy,
      serviceAccountName: settings.serviceAccountName,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: settings.terminationGracePeriodSeconds,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: runAs,
        runAsGroup: runAs,
        fsGroup: runAs,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
        ...securityContext,
      },
      ...settings.scheduling,
      imagePullSecrets: settings.imagePullSecrets,
      containers: [engine(container, settings.terminationGracePeriodSeconds)],
      volumes: [...settings.volumes, { name: 'tmp', emptyDir: { sizeLimit: settings.tmpSize ?? '1Gi' } }],
    }),
  };
}

function engine(container: ContainerSettings, graceSeconds: number): Record<string, unknown> {
  return defined({
    name: 'engine',
    image: container.image,
    imagePullPolicy: container.imagePullPolicy,
    args: container.args,
    env: container.env?.map(({ name, value, secretKeyRef }) =>
      secretKeyRef ? { name, valueFrom: { secretKeyRef } } : { name, value },
    ),
    envFrom: container.envFrom,
    resources: container.resources,
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    terminationMessagePolicy: 'FallbackToLogsOnError',
    ...(container.http && serving(container.http, graceSeconds)),
    volumeMounts: [...container.mounts, { name: 'tmp', mountPath: '/tmp' }],
  });
}

/** On a node where all want more CPU than there is, a start that takes seconds elsewhere takes minutes. */
const leastStartupSeconds = 300;

const page = (path: string) => ({ httpGet: { path, port: 'http' } });

function serving({ port, startupSeconds, drainSeconds }: HttpSettings, graceSeconds: number): Record<string, unknown> {
  const sleepSeconds = Math.min(drainSeconds, graceSeconds);
  return {
    ports: [{ name: 'http', containerPort: port, protocol: 'TCP' }],
    startupProbe: {
      ...page('/healthz'),
      periodSeconds: 1,
      timeoutSeconds: 10,
      failureThreshold: Math.max(startupSeconds, leastStartupSeconds),
    },
    readinessProbe: { ...page('/readyz'), periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 2 },
    // Starting again a process that only waits for the CPU makes a busy node busier: requests go elsewhere meanwhile.
    livenessProbe: { ...page('/healthz'), periodSeconds: 10, timeoutSeconds: 15, failureThreshold: 6 },
    ...(sleepSeconds > 0 && { lifecycle: { preStop: { sleep: { seconds: sleepSeconds } } } }),
  };
}

/** The user's environment variables and ours; a name that both set is ours. */
export function variables(theirs: readonly Variable[] = [], ours: Record<string, string> = {}): Variable[] {
  const free = theirs.filter(({ name }) => !(name in ours));
  return [...free, ...Object.entries(ours).map(([name, value]) => ({ name, value }))];
}

/** The same object without its undefined members, which an applied document must not hold. */
export function defined(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
