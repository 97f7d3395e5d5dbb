// Blocks that all five kinds share: where pods run, on what hardware, where data comes from and goes to, and how status reads.
import { z } from 'zod';
import {
  atMostOne,
  bytes,
  dataName,
  dnsSubdomain,
  duration,
  exactlyOne,
  httpUrl,
  int,
  keyed,
  list,
  name,
  objectName,
  onChange,
  path,
  patterned,
  resourceQuantity,
  ruled,
  set,
  sha256,
  stringMap,
  text,
  time,
  withinLimit,
} from './fields.ts';

/** `domain/name` of a label, taint, resource or device class. */
const qualifiedName = (example: string) =>
  patterned(
    '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$',
    316,
    `must be a name such as ${example}`,
  );
const labelKey = () => qualifiedName('topology.kubernetes.io/zone');
const labelValue = () => patterned('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$', 63, 'must be a label value');

/** The extended resource asked for when a `gpu` block names neither a resource nor a device class. */
export const defaultGpuResource = 'nvidia.com/gpu';

/** The extended resource that a `gpu` block means; none with a device class. */
export const extendedGpuResource = (block: { resourceName?: string; deviceClassName?: string }): string | undefined =>
  block.deviceClassName === undefined ? (block.resourceName ?? defaultGpuResource) : undefined;

export const gpu = () =>
  ruled(
    z.object({
      policy: z
        .enum(['Required', 'Preferred', 'None'])
        .default('None')
        .describe(
          'Required waits for a GPU; Preferred falls back to CPU after fallbackAfter and returns; None asks for none.',
        ),
      count: int(1, 64).default(1).describe('GPUs for each pod.'),
      resourceName: patterned(
        '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$',
        316,
        'must be an extended resource such as nvidia.com/gpu or nvidia.com/mig-1g.10gb',
      )
        .exactOptional()
        .describe(
          `Extended resource, MIG profiles and other vendors included. ${defaultGpuResource} when deviceClassName is left out too.`,
        ),
      deviceClassName: objectName()
        .exactOptional()
        .describe('DeviceClass for dynamic resource allocation, instead of resourceName.'),
      fallbackAfter: duration()
        .default('2m')
        .describe('With Preferred: how long a pod may wait for a GPU before it runs on CPU.'),
      runtimeClassName: objectName().exactOptional().describe('RuntimeClass of pods that have a GPU.'),
    }),
    atMostOne('resourceName', 'deviceClassName'),
  );

const matchExpression = z.object({
  key: labelKey().describe('Label key.'),
  operator: z
    .enum(['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'])
    .describe('Relation of the key to the values.'),
  values: list(labelValue(), 16).exactOptional().describe('Values; none for Exists and DoesNotExist.'),
});
const nodeSelectorTerm = z.object({
  matchExpressions: list(matchExpression, 8).exactOptional().describe('All must hold.'),
});
const podAffinityTerm = z.object({
  labelSelector: z
    .object({ matchLabels: stringMap(8, 63).describe('Labels that the other pods carry.') })
    .exactOptional()
    .describe('Which pods are meant.'),
  topologyKey: labelKey().describe('Node label whose value makes two nodes the same place.'),
});
const podAffinity = z.object({
  requiredDuringSchedulingIgnoredDuringExecution: list(podAffinityTerm, 4).exactOptional().describe('All must hold.'),
  preferredDuringSchedulingIgnoredDuringExecution: list(
    z.object({ weight: int(1, 100).describe('Weight.'), podAffinityTerm: podAffinityTerm.describe('The term.') }),
    4,
  )
    .exactOptional()
    .describe('Nodes that match more weight are preferred.'),
});

const affinity = z.object({
  nodeAffinity: z
    .object({
      requiredDuringSchedulingIgnoredDuringExecution: z
        .object({ nodeSelectorTerms: list(nodeSelectorTerm, 4).min(1).describe('One must hold.') })
        .exactOptional()
        .describe('Nodes that are allowed.'),
      preferredDuringSchedulingIgnoredDuringExecution: list(
        z.object({ weight: int(1, 100).describe('Weight.'), preference: nodeSelectorTerm.describe('The term.') }),
        4,
      )
        .exactOptional()
        .describe('Nodes that match more weight are preferred.'),
    })
    .exactOptional()
    .describe('Affinity to nodes.'),
  podAffinity: podAffinity.exactOptional().describe('Affinity to other pods.'),
  podAntiAffinity: podAffinity.exactOptional().describe('Distance from other pods.'),
});

const toleration = ruled(
  z.object({
    key: labelKey().exactOptional().describe('Taint key; with operator Exists and none, every taint.'),
    operator: z.enum(['Exists', 'Equal']).default('Equal').describe('How value is compared.'),
    value: labelValue().exactOptional().describe('Taint value.'),
    effect: z
      .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
      .exactOptional()
      .describe('Taint effect; left out, all.'),
    tolerationSeconds: int(0, 31_536_000).exactOptional().describe('With NoExecute: how long the pod stays.'),
  }),
  {
    cel: "has(self.key) || self.operator == 'Exists'",
    holds: ({ key, operator }) => key !== undefined || operator === 'Exists',
    message: 'operator must be Exists where key is left out',
    field: ['operator'],
  },
  {
    cel: "self.operator != 'Exists' || !has(self.value) || self.value == ''",
    holds: ({ operator, value }) => operator !== 'Exists' || !value,
    message: 'value must be left out with operator Exists',
    field: ['value'],
  },
  {
    cel: "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
    holds: ({ tolerationSeconds, effect }) => tolerationSeconds === undefined || effect === 'NoExecute',
    message: 'tolerationSeconds needs effect NoExecute',
    field: ['tolerationSeconds'],
  },
);

export const scheduling = () =>
  z.object({
    priorityClassName: objectName().exactOptional().describe('PriorityClass of the pods.'),
    nodeSelector: stringMap(16, 63).exactOptional().describe('Labels that a node must carry.'),
    tolerations: list(toleration, 16)
      .exactOptional()
      .describe('Taints that the pods tolerate. Those of GPU and spot nodes are added by gpu and spot.'),
    affinity: affinity.exactOptional().describe('As in a pod.'),
    topologySpreadConstraints: list(
      z.object({
        maxSkew: int(1, 100).default(1).describe('Largest difference between two places.'),
        topologyKey: labelKey().describe('Node label that makes a place.'),
        whenUnsatisfiable: z
          .enum(['DoNotSchedule', 'ScheduleAnyway'])
          .default('ScheduleAnyway')
          .describe('As in a pod.'),
      }),
      4,
    )
      .exactOptional()
      .describe('How pods are spread; the selector is the resource itself.'),
    spot: z
      .enum(['Required', 'Preferred', 'Tolerated', 'None'])
      .default('None')
      .describe('Use of preemptible nodes (their taints are tolerated, their labels selected).'),
    queueName: patterned(
      dnsSubdomain,
      63,
      'must be the name of a LocalQueue of at most 63 characters: it becomes a label',
    )
      .exactOptional()
      .describe('Kueue LocalQueue.'),
    schedulerName: objectName().exactOptional().describe('Scheduler other than the default one.'),
  });

const resourceList = z.object({
  cpu: resourceQuantity().exactOptional().describe('Cores, such as 500m or 2.'),
  memory: resourceQuantity().exactOptional().describe('Bytes, such as 2Gi.'),
  'ephemeral-storage': resourceQuantity().exactOptional().describe('Scratch space on the node, such as 5Gi.'),
});

/** Default requests hold only where the whole block is left out: a partial block says what is wanted. */
export const resources = (cpu: string, memory: string) =>
  ruled(
    z.object({
      requests: resourceList.exactOptional().describe('What is reserved.'),
      limits: resourceList.exactOptional().describe('What is allowed at most. GPUs are asked for in gpu.'),
    }),
    withinLimit('cpu'),
    withinLimit('memory'),
    withinLimit('ephemeral-storage'),
  )
    .default({ requests: { cpu, memory }, limits: { memory } })
    .describe('CPU and memory of each pod, as in a container.');

export const secretRef = () =>
  z.object({
    name: objectName().describe('Secret in the same namespace.'),
    key: dataName().exactOptional().describe('Key inside it; left out, the usual one for this use.'),
  });

export const configMapKey = () =>
  z.object({
    name: objectName().describe('ConfigMap in the same namespace.'),
    key: dataName().describe('Key inside it.'),
  });

export const claimPath = () =>
  z.object({
    claimName: objectName().describe('PersistentVolumeClaim in the same namespace.'),
    path: path().describe('File or folder inside the volume.'),
  });

export const s3Object = () =>
  z.object({
    bucket: bucketName().describe('Bucket.'),
    key: objectKey().describe('Object key.'),
    ...s3Connection(),
  });

/** Where model weights come from; each is fetched once per node. */
export const modelSource = () =>
  ruled(
    z.object({
      persistentVolumeClaim: claimPath().exactOptional().describe('A file or folder on a volume.'),
      s3: s3Object().exactOptional().describe('An object in S3.'),
      oci: z
        .object({
          image: text(512).describe('Image or artifact whose layers hold the files.'),
          path: path().describe('File or folder inside it.'),
        })
        .exactOptional()
        .describe('An image or artifact as a volume: on clusters with image volumes, as of Kubernetes 1.35.'),
    }),
    exactlyOne('persistentVolumeClaim', 's3', 'oci'),
  );

export const model = () =>
  z.object({
    source: modelSource().describe('Where the files are.'),
    sha256: sha256().exactOptional().describe('Digest that the file must have; a damaged file is refused.'),
    revision: text(128).exactOptional().describe('Name of this version in metrics and answers.'),
  });

const claimStays = (what: string): string =>
  `a claim keeps ${what}: write to another one, or delete the resource and its claim first`;

/** Where results go; one of the three. */
export const outputMembers = () => ({
  persistentVolumeClaim: z
    .object({
      claimName: objectName().describe('PersistentVolumeClaim in the same namespace.'),
      path: path().exactOptional().describe('Folder inside the volume; left out, the name of the resource.'),
    })
    .exactOptional()
    .describe('A volume that exists.'),
  volumeClaimTemplate: ruled(
    z.object({
      storageClassName: objectName().exactOptional().describe("StorageClass; left out, the cluster's default."),
      accessModes: set(z.enum(['ReadWriteOnce', 'ReadWriteMany', 'ReadWriteOncePod']), 3)
        .min(1)
        .default(['ReadWriteOnce'])
        .describe('As in a claim. More than one node needs ReadWriteMany.'),
      storage: bytes().default('10Gi').describe('Size. It may grow where the class lets volumes grow.'),
      reclaimPolicy: z
        .enum(['Retain', 'Delete'])
        .default('Retain')
        .describe('What becomes of the claim when the resource is deleted.'),
    }),
    {
      cel: "!('ReadWriteOncePod' in self.accessModes) || self.accessModes.size() == 1",
      holds: ({ accessModes }) => !accessModes.includes('ReadWriteOncePod') || accessModes.length === 1,
      message: 'ReadWriteOncePod must stand alone',
      field: ['accessModes'],
    },
    onChange(
      'storageClassName',
      'has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)',
      claimStays('its class'),
    ),
    onChange('accessModes', 'self.accessModes == oldSelf.accessModes', claimStays('its access modes')),
    onChange(
      'storage',
      'self.storage == oldSelf.storage || quantity(self.storage).compareTo(quantity(oldSelf.storage)) >= 0',
      'a volume does not shrink: write to another claim',
    ),
  )
    .exactOptional()
    .describe('A claim that is made for the resource, named after it.'),
  s3: z
    .object({
      bucket: bucketName().describe('Bucket.'),
      prefix: objectKey().exactOptional().describe('Prefix of the keys; left out, namespace/name.'),
      ...s3Connection(),
    })
    .exactOptional()
    .describe('A bucket.'),
});
export const oneOutput = exactlyOne<Record<string, unknown>>('persistentVolumeClaim', 'volumeClaimTemplate', 's3');

export const pod = () =>
  z.object({
    image: patterned('^\\S+$', 512, 'must be an image such as registry.example.com/engine:1.0')
      .exactOptional()
      .describe('Image of the engine, instead of the one the operator was installed with.'),
    imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).exactOptional().describe('As in a container.'),
    imagePullSecrets: keyed(z.object({ name: objectName().describe('Secret.') }), 8)
      .exactOptional()
      .describe('As in a pod.'),
    serviceAccountName: objectName().exactOptional().describe('ServiceAccount; left out, one without rights.'),
    labels: stringMap(16, 63).exactOptional().describe('More labels; those of Quintet win.'),
    annotations: stringMap(16, 1024).exactOptional().describe('More annotations; those of Quintet win.'),
    env: keyed(
      ruled(
        z.object({
          name: patterned('^[A-Za-z_][A-Za-z0-9_]*$', 128, 'must be the name of an environment variable').describe(
            'Name.',
          ),
          value: z.string().max(4096).exactOptional().describe('Value.'),
          secretKeyRef: z
            .object({ name: objectName().describe('Secret.'), key: dataName().describe('Key inside it.') })
            .exactOptional()
            .describe('Value from a Secret.'),
        }),
        exactlyOne('value', 'secretKeyRef'),
      ),
      32,
    )
      .exactOptional()
      .describe('More environment variables; QUINTET_* are reserved.'),
    terminationGracePeriodSeconds: int(0, 3600)
      .exactOptional()
      .describe('Time to drain; left out, what the kind needs.'),
    securityContext: z
      .object({
        runAsUser: int(1, 2_147_483_647).exactOptional().describe('User id.'),
        runAsGroup: int(1, 2_147_483_647).exactOptional().describe('Group id.'),
        fsGroup: int(1, 2_147_483_647).exactOptional().describe('Group that owns the volumes.'),
      })
      .exactOptional()
      .describe('Ids only: the rest is the restricted pod security standard.'),
  });

export const suspend = () =>
  z.boolean().default(false).describe('Stops the pods and keeps what they did; false resumes.');

/** STATUS of `kubectl get`, decided together with the conditions. */
export const phases = ['Pending', 'Progressing', 'Ready', 'Succeeded', 'Failed', 'Suspended'] as const;

/** What every status has. */
export const statusBase = () => ({
  observedGeneration: z.int().min(0).exactOptional().describe('Generation of the spec that this status is about.'),
  phase: z.enum(phases).exactOptional().describe('Summary for people; programs read conditions.'),
  message: z.string().max(4096).exactOptional().describe('What to do, or what is awaited.'),
  conditions: keyed(
    z.object({
      type: text(316).describe('Ready, Reconciling, Stalled, Suspended, GPUAllocated and others.'),
      status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
      observedGeneration: z.int().min(0).exactOptional().describe('Generation it is about.'),
      lastTransitionTime: time().describe('When status last changed.'),
      reason: text(1024).describe('Word for programs.'),
      message: z.string().max(32_768).describe('Sentence for people.'),
    }),
    16,
    'type',
  )
    .exactOptional()
    .describe('Conditions, as kstatus and Argo CD read them.'),
});

/** What service kinds report about themselves. */
export const gpuStatus = () =>
  z.object({
    allocated: int(0, 100_000).exactOptional().describe('GPUs in use.'),
    device: z.string().max(256).exactOptional().describe('Device that the engine found.'),
    fellBackAt: time().exactOptional().describe('When pods went to CPU.'),
  });

function bucketName() {
  return patterned('^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$', 63, 'must be a bucket name');
}
function objectKey() {
  return patterned('^[^/\\s][^\\s]*$', 1024, 'must be an object key without leading slash or spaces');
}
function s3Connection() {
  return {
    endpoint: httpUrl().exactOptional().describe('URL of an S3-compatible server; left out, AWS.'),
    region: name().exactOptional().describe('Region.'),
    secretRef: secretRef()
      .exactOptional()
      .describe('Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; left out, the identity of the pod.'),
  };
}
