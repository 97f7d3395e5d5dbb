// Reads result files of a FieldJob off its claim, by a pod that mounts it and has nothing but Node.
import { eventually, type Kubectl } from './kubectl.ts';

interface HasClaim {
  metadata: { name: string; namespace: string };
  spec: { output?: { persistentVolumeClaim?: { claimName: string; path?: string } } };
}

interface ControllerList {
  items: { spec: { template: { spec: { containers: { env: { name: string; value?: string }[] }[] } } } }[];
}

/** One file below the job's output folder. */
export function fetchFile(kubectl: Kubectl, job: HasClaim, file: string): Promise<Buffer> {
  const path = `/output/${job.spec.output?.persistentVolumeClaim?.path ?? job.metadata.name}/${file}`;
  const script = `require('fs').createReadStream(${JSON.stringify(path)}).pipe(process.stdout)`;
  return inReader(kubectl, job, script);
}

/** Runs a Node script beside the job's claim, mounted read-only at /output, and returns what it printed. */
export async function inReader(kubectl: Kubectl, job: HasClaim, script: string): Promise<Buffer> {
  const { name, namespace } = job.metadata;
  const pod = `${name}-reader`;
  if (!(await kubectl.find(['pod', pod, '-n', namespace])))
    await kubectl.apply(JSON.stringify(await reader(kubectl, job, pod)));
  await kubectl.run(['wait', `pod/${pod}`, '-n', namespace, '--for=condition=Ready', '--timeout=60s'], {
    timeoutMs: 70_000,
  });
  return eventually(
    'the reader answers',
    () => kubectl.bytes(['exec', pod, '-n', namespace, '--', 'node', '-e', script]),
    {
      timeoutMs: 30_000,
    },
  );
}

async function reader(kubectl: Kubectl, { metadata, spec }: HasClaim, pod: string): Promise<object> {
  const claimName = spec.output?.persistentVolumeClaim?.claimName ?? `${metadata.name}-field`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: pod, namespace: metadata.namespace },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      activeDeadlineSeconds: 3600,
      terminationGracePeriodSeconds: 0,
      securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'reader',
          image: await engineImage(kubectl),
          command: ['node', '-e', 'setInterval(() => {}, 1e6)'],
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
          volumeMounts: [{ name: 'output', mountPath: '/output', readOnly: true }],
        },
      ],
      volumes: [{ name: 'output', persistentVolumeClaim: { claimName, readOnly: true } }],
    },
  };
}

/** The image that the installed controller gives FieldJobs: any that has Node would do. */
export async function engineImage(kubectl: Kubectl): Promise<string> {
  const selector = 'app.kubernetes.io/component=controller,app.kubernetes.io/name=quintet';
  const { items } = await kubectl.json<ControllerList>(['get', 'deployments', '-A', '-l', selector]);
  const env = items[0]?.spec.template.spec.containers[0]?.env ?? [];
  const image = env.find(({ name }) => name === 'QUINTET_FIELD_IMAGE')?.value;
  if (!image) throw new Error('no controller is installed in this cluster');
  return image;
}
