// Pod template that the "restricted" pod security standard admits: non-root, read-only root, no token, no capabilities.

export interface ContainerSettings {
  image: string;
  imagePullPolicy?: string;
  args: string[];
  env?: Record<string, string>;
  envFrom?: { secretRef: { name: string } }[];
  resources?: ResourceRequirements;
  mounts: { name: string; mountPath: string; subPath?: string; readOnly?: boolean }[];
}

type ResourceList = Record<string, string | number>;

export interface ResourceRequirements {
  requests?: ResourceList;
  limits?: ResourceList;
}

export interface Scheduling {
  priorityClassName?: string | undefined;
  nodeSelector?: Record<string, string> | undefined;
  tolerations?: unknown[] | undefined;
  affinity?: unknown;
  topologySpreadConstraints?: unknown[] | undefined;
  runtimeClassName?: string | undefined;
}

export interface PodSettings {
  labels: Record<string, string>;
  annotations?: Record<string, string>;
  container: ContainerSettings;
  volumes: { name: string; [source: string]: unknown }[];
  restartPolicy: 'Never' | 'Always';
  terminationGracePeriodSeconds?: number;
  scheduling?: Scheduling;
  imagePullSecrets?: { name: string }[];
}

const runAs = 65532;

export function podTemplate(settings: PodSettings): {
  metadata: { labels: Record<string, string>; annotations?: Record<string, string> };
  spec: Record<string, unknown>;
} {
  const { container, scheduling = {} } = settings;
  return {
    metadata: { labels: settings.labels, ...(settings.annotations && { annotations: settings.annotations }) },
    spec: defined({
      restartPolicy: settings.restartPolicy,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: settings.terminationGracePeriodSeconds ?? 30,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: runAs,
        runAsGroup: runAs,
        fsGroup: runAs,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      },
      ...scheduling,
      imagePullSecrets: settings.imagePullSecrets,
      containers: [
        defined({
          name: 'engine',
          image: container.image,
          imagePullPolicy: container.imagePullPolicy,
          args: container.args,
          env: Object.entries(container.env ?? {}).map(([name, value]) => ({ name, value })),
          envFrom: container.envFrom,
          resources: container.resources,
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
          terminationMessagePolicy: 'FallbackToLogsOnError',
          volumeMounts: [...container.mounts, { name: 'tmp', mountPath: '/tmp' }],
        }),
      ],
      volumes: [...settings.volumes, { name: 'tmp', emptyDir: { sizeLimit: '1Gi' } }],
    }),
  };
}

/** The same object without its undefined members, which an applied document must not hold. */
export function defined(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
