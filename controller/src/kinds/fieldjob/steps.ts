// The three Jobs of a FieldJob: plan (solve, judge, lay out), shards (compute), finish (verify, judge, draw).

import { type FieldJob, parseDuration } from '@quintet/crds';
import { type Claim, claim } from '../../objects/claim.ts';
import { type ConfigMap, configMap, resourceFile, resourceFolder } from '../../objects/configmap.ts';
import { type Backend, gpuResources, type ResourceClaimTemplate, resourceClaimTemplates } from '../../objects/gpu.ts';
import { job } from '../../objects/job.ts';
import { childLabels, childName, selectorLabels } from '../../objects/meta.ts';
import { isolation, type NetworkPolicy } from '../../objects/networkpolicy.ts';
import { podTemplate, variables } from '../../objects/pod.ts';
import { referenceMounts } from '../../objects/references.ts';
import { schedulingOf } from '../../objects/scheduling.ts';
import type { Job, PodTemplate } from '../../objects/types.ts';
import { backendLabels } from '../gpu.ts';
import type { EngineSettings } from '../image.ts';
import { podsFor } from './costs.ts';

export const stepNames = ['plan', 'shards', 'finish'] as const;
export type StepName = (typeof stepNames)[number];

const labelOfRevision = 'quintet.dev/revision';
const annotationOfPrediction = 'quintet.dev/predicted-pod-seconds';
const outputMount = '/output';
const retriesOfSingleSteps = 3;

export function resourceConfig(resource: FieldJob): ConfigMap {
  const { apiVersion, kind, metadata, spec } = resource;
  const { suspend: _s, ttlAfterFinished: _t, activeDeadline: _d, retriesPerShard: _r, ...work } = spec;
  const carried = {
    apiVersion,
    kind,
    metadata: { name: metadata.name, namespace: metadata.namespace, uid: metadata.uid },
    spec: { ...work, shards: { max: work.shards.max } },
  };
  return configMap(resource, configName(resource), 'config', {
    'resource.json': `${JSON.stringify(carried, null, 2)}\n`,
  });
}

export function networkIsolation(resource: FieldJob): NetworkPolicy {
  return isolation(resource, configName(resource), { egress: resource.spec.output?.s3 !== undefined });
}

export function outputClaim(resource: FieldJob): Claim[] {
  const template = resource.spec.output?.volumeClaimTemplate;
  return template ? [claim(resource, claimName(resource.metadata.name), 'output', template)] : [];
}

/** From which each pod of the shards claims its devices. */
export const deviceClaims = (resource: FieldJob): ResourceClaimTemplate[] =>
  resourceClaimTemplates(resource, configName(resource), resource.spec.gpu);

export const planJob = (resource: FieldJob, revision: string, settings: EngineSettings): Job =>
  stepJob('plan', resource, revision, settings);

/** Only the shards compute enough to be worth a GPU. */
export function shardsJob(
  resource: FieldJob,
  revision: string,
  settings: EngineSettings,
  { shards, predicted }: { shards: number; predicted: number | undefined },
  backend: Backend,
): Job {
  const indexed = { completions: shards, parallelism: podsFor(resource.spec, shards, predicted) };
  const made = stepJob('shards', resource, revision, settings, { indexed, backend });
  if (predicted === undefined) return made;
  const annotations = { ...made.metadata.annotations, [annotationOfPrediction]: predicted.toPrecision(6) };
  return { ...made, metadata: { ...made.metadata, annotations } };
}

export const isOfRevision = ({ spec }: Job, revision: string): boolean =>
  spec.template.metadata.labels?.[labelOfRevision] === revision;

/** Seconds of one pod, as they were predicted when the Job was made; nothing where nothing was known. */
export function predictionIn({ metadata }: Job): number | undefined {
  const said = metadata.annotations?.[annotationOfPrediction];
  return said === undefined ? undefined : Number(said);
}

export const finishJob = (resource: FieldJob, revision: string, settings: EngineSettings): Job =>
  stepJob('finish', resource, revision, settings);

function stepJob(
  step: StepName,
  resource: FieldJob,
  revision: string,
  settings: EngineSettings,
  { indexed, backend = 'CPU' }: { indexed?: { completions: number; parallelism: number }; backend?: Backend } = {},
): Job {
  const { spec } = resource;
  return job(resource, {
    name: jobName(resource.metadata.name, step),
    component: step,
    revision,
    suspend: spec.suspend,
    retries: indexed ? spec.retriesPerShard : retriesOfSingleSteps,
    ...(indexed && { indexed }),
    ...(spec.activeDeadline && { activeDeadlineSeconds: Math.ceil(parseDuration(spec.activeDeadline)) }),
    queueName: spec.scheduling.queueName,
    template: stepTemplate(step, resource, revision, settings, backend),
  });
}

function stepTemplate(
  step: StepName,
  resource: FieldJob,
  revision: string,
  settings: EngineSettings,
  backend: Backend,
): PodTemplate {
  const { spec } = resource;
  const { pod = {} } = spec;
  const output = outputVolume(resource);
  const references = referenceMounts(spec);
  const s3Secret = spec.output?.s3?.secretRef;
  return podTemplate({
    ...pod,
    labels: {
      ...pod.labels,
      ...childLabels(resource, step),
      [labelOfRevision]: revision,
      ...(step === 'shards' && spec.gpu.policy !== 'None' && backendLabels(backend)),
    },
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: pod.terminationGracePeriodSeconds ?? 10,
    scheduling: schedulingOf(resource, {
      backend,
      claimTemplate: configName(resource),
      selector: selectorLabels(resource),
    }),
    container: {
      image: settings.image,
      imagePullPolicy: settings.imagePullPolicy ?? 'IfNotPresent',
      ...pod,
      args: [step === 'shards' ? 'shard' : step],
      env: variables(pod.env, { QUINTET_RESOURCE: resourceFile, ...output.env }),
      ...(s3Secret && { envFrom: [{ secretRef: { name: s3Secret.name } }] }),
      resources: gpuResources(spec.gpu, backend, spec.resources),
      mounts: [{ name: 'resource', mountPath: resourceFolder, readOnly: true }, ...references.mounts, ...output.mounts],
    },
    volumes: [
      { name: 'resource', configMap: { name: configName(resource) } },
      ...references.volumes,
      ...output.volumes,
    ],
  });
}

/** The claim that results are written to; to S3 the engine goes by the environment that every AWS tool reads. */
function outputVolume(resource: FieldJob) {
  const { metadata, spec } = resource;
  if (spec.output?.s3) {
    const { endpoint, region } = spec.output.s3;
    const env = {
      QUINTET_OUTPUT: outputUri(resource),
      ...(endpoint !== undefined && { AWS_ENDPOINT_URL_S3: endpoint }),
      ...(region !== undefined && { AWS_REGION: region }),
    };
    return { env, mounts: [], volumes: [] };
  }
  const { claimName: name, path = metadata.name } = spec.output?.persistentVolumeClaim ?? {
    claimName: claimName(metadata.name),
    path: undefined,
  };
  return {
    env: { QUINTET_OUTPUT: outputMount },
    mounts: [{ name: 'output', mountPath: outputMount, subPath: path }],
    volumes: [{ name: 'output', persistentVolumeClaim: { claimName: name } }],
  };
}

const jobName = (resourceName: string, step: StepName): string => childName(resourceName, `field-${step}`);
export const shardsName = (resourceName: string): string => jobName(resourceName, 'shards');

/** The claim of `output.volumeClaimTemplate`. */
export const claimName = (resourceName: string): string => childName(resourceName, 'field');

const configName = (resource: FieldJob): string => childName(resource.metadata.name, 'field');

/** Where the results lie: `pvc://namespace/claim/path` or `s3://bucket/prefix`. */
export function outputUri({ metadata, spec }: FieldJob): string {
  const { namespace, name } = metadata;
  const { persistentVolumeClaim: held, s3 } = spec.output ?? {};
  if (s3) return `s3://${s3.bucket}/${(s3.prefix ?? `${namespace}/${name}`).replace(/\/+$/, '')}`;
  return `pvc://${namespace}/${held?.claimName ?? claimName(name)}/${held?.path ?? name}`;
}
