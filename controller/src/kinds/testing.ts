// Fluent builders of what a kind observes, for table tests.
import { controllerOf } from '../kube/store.ts';
import type { KubeObject, ResourceType } from '../kube/types.ts';
import type { Job, Pod } from '../objects/types.ts';
import type { Observed } from '../reconcile/kind.ts';

/** What an installation with the chart's Redis and PostgreSQL hands out. */
export const stores = {
  redis: 'redis://:secret@redis.test:6379',
  postgres: 'postgres://quintet:secret@postgres.test:5432/quintet',
};

/** A moment that tests count from. */
export const noon = new Date('2026-01-01T12:00:00Z');

export class ObservedBuilder implements Observed {
  now = noon;
  /** What the kubelet says of each pod's volumes. */
  failedMount?: (pod: KubeObject) => string | undefined;
  readonly #objects: KubeObject[] = [];

  list<T extends KubeObject>(type: ResourceType): readonly T[] {
    return this.#objects.filter(({ kind }) => kind === type.kind) as T[];
  }

  get<T extends KubeObject>(type: ResourceType, name: string): T | undefined {
    return this.list<T>(type).find(({ metadata }) => metadata.name === name);
  }

  dependents<T extends KubeObject>(type: ResourceType, child: KubeObject): readonly T[] {
    return this.list<T>(type).filter((each) => controllerOf(each)?.uid === child.metadata.uid);
  }

  at(secondsAfterNoon: number): this {
    this.now = new Date(noon.getTime() + secondsAfterNoon * 1000);
    return this;
  }

  with(...objects: KubeObject[]): this {
    this.#objects.push(...objects);
    return this;
  }

  /** A Job as it was applied, with a status as the Job controller would write it. */
  withJob(applied: KubeObject | undefined, state: 'Active' | 'Complete' | 'Failed', status: Job['status'] = {}): this {
    if (!applied) throw new TypeError('no such Job is desired');
    const condition = {
      type: state,
      status: 'True',
      reason: 'Test',
      message: '',
      lastTransitionTime: noon.toISOString(),
    };
    const conditions = state === 'Active' ? [] : [condition];
    const metadata = { ...applied.metadata, uid: uidOf(applied) };
    return this.with({
      ...applied,
      metadata,
      status: { startTime: noon.toISOString(), conditions, ...status },
    } as KubeObject);
  }

  /** A pod of a Job, running or ended with a code and a termination message. */
  withPod(job: KubeObject | undefined, ended?: { exitCode: number; message?: unknown; reason?: string }): this {
    const template = (job as Job | undefined)?.spec.template;
    const terminated = ended && {
      exitCode: ended.exitCode,
      finishedAt: noon.toISOString(),
      message: typeof ended.message === 'string' ? ended.message : JSON.stringify(ended.message),
      ...(ended.reason && { reason: ended.reason }),
    };
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: `${job?.metadata.name}-${this.#objects.length}`,
        labels: template?.metadata.labels ?? {},
        ...(job && {
          ownerReferences: [
            { apiVersion: 'batch/v1', kind: 'Job', name: job.metadata.name, uid: uidOf(job), controller: true },
          ],
        }),
      },
      status: {
        phase: ended ? (ended.exitCode === 0 ? 'Succeeded' : 'Failed') : 'Running',
        containerStatuses: [{ name: 'engine', restartCount: 0, state: terminated ? { terminated } : { running: {} } }],
      },
    };
    return this.with(pod);
  }
}

/** The uid that a Job of this name and revision is given. */
export const uidOf = ({ metadata }: KubeObject): string =>
  `uid-of-${metadata.name}-${metadata.annotations?.['quintet.dev/revision']}`;

export const observed = (): ObservedBuilder => new ObservedBuilder();
