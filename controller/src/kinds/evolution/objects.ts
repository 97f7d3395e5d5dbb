// The objects of an EvolutionRun: a coordinator that searches, workers that evaluate, a page for its progress.
import { type EvolutionRun, parseDuration } from '@quintet/crds';
import { type Claim, claim } from '../../objects/claim.ts';
import { type ConfigMap, configMap, resourceFile, resourceFolder } from '../../objects/configmap.ts';
import { type Deployment, deployment } from '../../objects/deployment.ts';
import { job } from '../../objects/job.ts';
import { childLabels, childName, hashOf, selectorLabels } from '../../objects/meta.ts';
import { type NetworkPolicy, servingIsolation } from '../../objects/networkpolicy.ts';
import { podTemplate, variables } from '../../objects/pod.ts';
import { referenceMounts } from '../../objects/references.ts';
import { schedulingOf } from '../../objects/scheduling.ts';
import { httpPort, type Service, service } from '../../objects/service.ts';
import type { Job, PodTemplate } from '../../objects/types.ts';
import type { EngineSettings } from '../image.ts';
import { storesOf } from '../stores.ts';

export const labelOfRevision = 'quintet.dev/revision';
const outputMount = '/output';
const drainSeconds = 5;
/** A worker has this long to give its task back when it is told to end. */
const workerGraceSeconds = 30;

export const mainName = ({ metadata }: EvolutionRun): string => childName(metadata.name, 'evolution');
export const workersName = ({ metadata }: EvolutionRun): string => childName(metadata.name, 'evolution-workers');

/** Everything in the spec but what may change while it runs, or after, without touching the result. */
export function searchSpec({ spec }: EvolutionRun): Record<string, unknown> {
  const { suspend: _s, ttlAfterFinished: _t, activeDeadline: _d, retries: _r, workers: _w, ...search } = spec;
  return search;
}

export const revisionOf = (resource: EvolutionRun): string => hashOf(searchSpec(resource));

export function resourceConfig(resource: EvolutionRun): ConfigMap {
  const { apiVersion, kind, metadata } = resource;
  const { name, namespace, uid } = metadata;
  const carried = { apiVersion, kind, metadata: { name, namespace, uid }, spec: searchSpec(resource) };
  return configMap(resource, mainName(resource), 'config', {
    'resource.json': `${JSON.stringify(carried, null, 2)}\n`,
  });
}

export const isolation = (resource: EvolutionRun): NetworkPolicy => servingIsolation(resource, mainName(resource));

export const progressService = (resource: EvolutionRun): Service =>
  service(resource, mainName(resource), componentSelector(resource, 'coordinator'));

export function outputClaim(resource: EvolutionRun): Claim[] {
  const made = resource.spec.output?.volumeClaimTemplate;
  return made ? [claim(resource, mainName(resource), 'output', made)] : [];
}

export function coordinatorJob(resource: EvolutionRun, revision: string, settings: EngineSettings): Job {
  const { spec } = resource;
  return job(resource, {
    name: mainName(resource),
    component: 'coordinator',
    revision,
    suspend: spec.suspend,
    retries: spec.retries,
    ...(spec.activeDeadline && { activeDeadlineSeconds: Math.ceil(parseDuration(spec.activeDeadline)) }),
    queueName: spec.scheduling.queueName,
    template: template(resource, settings, 'coordinator', revision, 'Never'),
  });
}

/** Workers are a Deployment: they come and go with the queue, and any may die without the run noticing more than time. */
export function workersDeployment(
  resource: EvolutionRun,
  revision: string,
  settings: EngineSettings,
  replicas: number,
): Deployment {
  return deployment(resource, {
    name: workersName(resource),
    component: 'worker',
    replicas,
    selector: componentSelector(resource, 'worker'),
    template: template(resource, settings, 'worker', revision, 'Always'),
    queueName: resource.spec.scheduling.queueName,
    progressDeadlineSeconds: 600,
  });
}

export function componentSelector(resource: EvolutionRun, component: string): Record<string, string> {
  return { ...selectorLabels(resource), 'app.kubernetes.io/component': component };
}

function template(
  resource: EvolutionRun,
  settings: EngineSettings,
  component: 'coordinator' | 'worker',
  revision: string,
  restartPolicy: 'Never' | 'Always',
): PodTemplate {
  const { spec } = resource;
  const { pod = {} } = spec;
  const selector = componentSelector(resource, component);
  const references = referenceMounts(spec);
  const s3Secret = spec.output?.s3?.secretRef;
  const output = component === 'coordinator' ? outputVolume(resource) : { env: {}, mounts: [], volumes: [] };
  const ours = { QUINTET_RESOURCE: resourceFile, PORT: String(httpPort), ...output.env, ...settings.env };
  return podTemplate({
    ...pod,
    labels: {
      ...pod.labels,
      ...childLabels(resource, component),
      [labelOfRevision]: revision,
    },
    restartPolicy,
    terminationGracePeriodSeconds: pod.terminationGracePeriodSeconds ?? workerGraceSeconds,
    scheduling: schedulingOf(resource, { selector }),
    container: {
      image: settings.image,
      imagePullPolicy: settings.imagePullPolicy ?? 'IfNotPresent',
      ...pod,
      args: [component],
      env: [...variables(pod.env, ours), ...storesOf(resource, mainName(resource), settings.stores).variables],
      ...(s3Secret && { envFrom: [{ secretRef: { name: s3Secret.name } }] }),
      resources: spec.resources,
      mounts: [{ name: 'resource', mountPath: resourceFolder, readOnly: true }, ...references.mounts, ...output.mounts],
      http: { port: httpPort, startupSeconds: 120, drainSeconds },
    },
    volumes: [{ name: 'resource', configMap: { name: mainName(resource) } }, ...references.volumes, ...output.volumes],
  });
}

function outputVolume(resource: EvolutionRun) {
  const { output } = resource.spec;
  if (!output || output.s3) return { env: {}, mounts: [], volumes: [] };
  const claimName = output.persistentVolumeClaim?.claimName ?? mainName(resource);
  const subPath = output.persistentVolumeClaim?.path ?? resource.metadata.name;
  return {
    env: { QUINTET_OUTPUT: outputMount },
    mounts: [{ name: 'output', mountPath: outputMount, subPath }],
    volumes: [{ name: 'output', persistentVolumeClaim: { claimName } }],
  };
}
