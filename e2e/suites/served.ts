// Resources that serve, as suites apply and read them: a CompressionService small enough to stand beside others.
import { stringify } from 'yaml';
import { eventually, type Kubectl } from '../kubectl.ts';

export interface Condition {
  type: string;
  status: string;
  reason: string;
  message: string;
}

export interface Served {
  metadata: { name: string; namespace: string; generation: number; uid: string };
  status?: {
    observedGeneration?: number;
    phase?: string;
    message?: string;
    url?: string;
    readyReplicas?: number;
    gpu?: { allocated?: number; fellBackAt?: string };
    conditions?: Condition[];
  };
}

export interface ServedPod {
  metadata: { name: string; uid: string; labels: Record<string, string>; deletionTimestamp?: string };
  spec: Record<string, unknown> & { nodeName?: string; containers: { image: string }[] };
  status: { phase: string; conditions?: { type: string; status: string; message?: string }[] };
}

export const conditionOf = (one: Served, type: string) => one.status?.conditions?.find((each) => each.type === type);

/** The services of one namespace. */
export class Services {
  readonly #kubectl: Kubectl;
  readonly namespace: string;

  constructor(kubectl: Kubectl, namespace: string) {
    this.#kubectl = kubectl;
    this.namespace = namespace;
  }

  async apply(name: string, spec: Record<string, unknown> = {}): Promise<void> {
    await this.#kubectl.apply(
      stringify({
        apiVersion: 'quintet.dev/v1alpha1',
        kind: 'CompressionService',
        metadata: { name, namespace: this.namespace },
        spec: {
          // All requests of a suite come from few clients.
          rateLimits: { perClient: { requests: 1_000_000 } },
          resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '1Gi' } },
          ...spec,
        },
      }),
    );
  }

  get(name: string): Promise<Served> {
    return this.#kubectl.json<Served>(['get', 'compressionservice', name, '-n', this.namespace]);
  }

  /** Waits until the status is of the latest generation and `holds`. */
  reaches(name: string, what: string, holds: (one: Served) => boolean, timeoutMs = 120_000): Promise<Served> {
    return eventually(
      `CompressionService ${name} ${what}`,
      async () => {
        const one = await this.get(name);
        return one.status?.observedGeneration === one.metadata.generation && holds(one) ? one : undefined;
      },
      {
        timeoutMs,
        describe: () =>
          this.#kubectl.run(['describe', 'compressionservice,deployment,pod', '-n', this.namespace], {
            timeoutMs: 30_000,
          }),
      },
    );
  }

  ready(name: string, replicas = 1): Promise<Served> {
    const holds = ({ status }: Served) => status?.phase === 'Ready' && status.readyReplicas === replicas;
    return this.reaches(name, `is Ready with ${replicas} pods`, holds);
  }

  /** Its pods that are not ending. */
  async pods(name: string): Promise<ServedPod[]> {
    const selector = `quintet.dev/name=${name},app.kubernetes.io/component=engine`;
    const args = ['get', 'pods', '-n', this.namespace, '-l', selector];
    const { items } = await this.#kubectl.json<{ items: ServedPod[] }>(args);
    return items.filter(({ metadata }) => !metadata.deletionTimestamp);
  }

  /** Deletes services, and waits until nothing of them holds a device. */
  async remove(...names: string[]): Promise<void> {
    await this.#kubectl.run(['delete', 'compressionservice', ...names, '-n', this.namespace, '--ignore-not-found']);
    for (const name of names) {
      const selector = `quintet.dev/name=${name}`;
      await eventually(`the pods of ${name} are gone`, async () => {
        return (
          (await this.#kubectl.run(['get', 'pods', '-n', this.namespace, '-l', selector, '-o', 'name'])).trim() === ''
        );
      });
    }
  }
}

/** A request that every replica answers anew. */
export const request = { text: 'line SERIAL of a text to compress. '.repeat(40), ratio: 4 };
