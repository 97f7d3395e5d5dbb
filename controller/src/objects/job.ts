// Job of one step: retried where that may help, ended at once where only a changed spec does.
import type { KubeObject } from '../kube/types.ts';
import { annotations } from '../reconcile/kind.ts';
import { childMeta, hashOf } from './meta.ts';
import type { Job, PodTemplate } from './types.ts';

/**
 * Exit code (EX_CONFIG) of an engine that only a changed spec can help. Not 2, by which also the container's runtime ends
 * when a pod is deleted while its container starts: Go's way out of a signal that a process of id 1 outlives.
 */
export const refusedExitCode = 78;

export interface JobSettings {
  name: string;
  component: string;
  /** Of everything that determines the result: another revision replaces the Job. */
  revision: string;
  template: PodTemplate;
  suspend: boolean;
  /** Attempts after the first: of the whole Job, or of each index. */
  retries: number;
  /** An Indexed Job over so many indexes, so many at once. */
  indexed?: { completions: number; parallelism: number };
  activeDeadlineSeconds?: number;
  /** Kueue queue that admits the Job. */
  queueName?: string | undefined;
}

export function job(owner: KubeObject, settings: JobSettings): Job {
  const meta = childMeta(owner, settings.name, settings.component);
  const immutable = {
    retries: settings.retries,
    completions: settings.indexed?.completions ?? 1,
    template: withoutImage(settings.template),
  };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      ...meta,
      labels: { ...meta.labels, ...(settings.queueName && { 'kueue.x-k8s.io/queue-name': settings.queueName }) },
      annotations: { [annotations.revision]: hashOf([settings.revision, immutable]) },
    },
    spec: {
      // With a queue, Kueue suspends the Job as it is created and owns its suspension from then on.
      ...((settings.suspend || settings.queueName === undefined) && { suspend: settings.suspend }),
      ...(settings.indexed
        ? {
            completionMode: 'Indexed',
            completions: settings.indexed.completions,
            parallelism: settings.indexed.parallelism,
            backoffLimitPerIndex: settings.retries,
            maxFailedIndexes: 0,
          }
        : { completions: 1, parallelism: 1, backoffLimit: settings.retries }),
      ...(settings.activeDeadlineSeconds !== undefined && { activeDeadlineSeconds: settings.activeDeadlineSeconds }),
      podReplacementPolicy: 'Failed',
      podFailurePolicy: {
        rules: [
          {
            action: 'FailJob',
            onExitCodes: { containerName: 'engine', operator: 'In', values: [refusedExitCode] },
          },
          { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
        ],
      },
      template: settings.template,
    },
  };
}

/**
 * The image is no part of what makes a Job another one: a Job that exists keeps its own when the installation's changes,
 * for its template is immutable and its work is worth more than a newer engine.
 */
function withoutImage({ metadata, spec }: PodTemplate): object {
  const containers = (spec.containers as { image?: string }[]).map(({ image: _image, ...rest }) => rest);
  return { metadata, spec: { ...spec, containers } };
}

/** The document as it may be applied to a Job that exists: with the image that it has. */
export function keepingImage(wanted: Job, live: Job): Job {
  const images = (live.spec.template.spec.containers as { image?: string }[] | undefined)?.map(({ image }) => image);
  const containers = (wanted.spec.template.spec.containers as object[]).map((container, index) => ({
    ...container,
    ...(images?.[index] && { image: images[index] }),
  }));
  const { spec } = wanted;
  return { ...wanted, spec: { ...spec, template: { ...spec.template, spec: { ...spec.template.spec, containers } } } };
}
