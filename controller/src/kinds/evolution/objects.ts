// The objects of an EvolutionRun: a coordinator that searches, workers that evaluate, a page for its progress.
import { type EvolutionRun, parseDuration, partAsking } from '@quintet/crds';
import { type Claim, claim } from '../../objects/claim.ts';
import { type ConfigMap, configMap } from '../../objects/configmap.ts';
import { type Deployment, deployment } from '../../objects/deployment.ts';
import { job } from '../../objects/job.ts';
import { childLabels, hashOf } from '../../objects/meta.ts';
import { type NetworkPolicy, servingIsolation } from '../../objects/networkpolicy.ts';
import { podTemplate } from '../../objects/pod.ts';
import { schedulingOf } from '../../objects/scheduling.ts';
import { httpPort, type Service, service } from '../../objects/service.ts';
import type { Job, PodTemplate } from '../../objects/types.ts';
import type { EngineSettings } from '../image.ts';
import { componentSelector, mainName, workersName } from './names.ts';
import { givenTo } from './roles.ts';

export const labelOfAttempt = 'quintet.dev/revision';
const outputMount = '/output';
const drainSeconds = 5;
/** A worker has this long to give its task back when it is told to end. */
const workerGraceSeconds = 30;

/** Of everything that decides what is found and what becomes of it. */
export const revisionOf = ({ spec }: EvolutionRun): string => hashOf(partAsking(spec, 'Result'));

/** Of everything that coordinator and workers are made of: another one has other pods, which go on with the same search. */
export const attemptOf = ({ spec }: EvolutionRun): string => hashOf(partAsking(spec, 'Pods'));

/** Without what the controller alone carries out: the rest is read by coordinator, workers and predictions. */
export function resourceConfig(resource: EvolutionRun): ConfigMap {
  const { apiVersion, kind, metadata } = resource;
  const { name, namespace, uid } = metadata;
  const {
    suspend: _s,
    ttlAfterFinished: _t,
    activeDeadline: _d,
    retries: _r,
    workers: _w,
    pod: _p,
    ...spec
  } = resource.spec;
  const carried = { apiVersion, kind, metadata: { name, namespace, uid }, spec };
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

export function coordinatorJob(resource: EvolutionRun, settings: EngineSettings): Job {
  const { spec } = resource;
  return job(resource, {
    name: mainName(resource),
    component: 'coordinator',
    revision: attemptOf(resource),
    suspend: spec.suspend,
    retries: spec.retries,
    ...(spec.activeDeadline && { activeDeadlineSeconds: Math.ceil(parseDuration(spec.activeDeadline)) }),
    queueName: spec.scheduling.queueName,
    template: template(resource, settings, 'coordinator', 'Never'),
  });
}

/** Workers are a Deployment: they come and go with the queue, and any may die without the run noticing more than time. */
export function workersDeployment(resource: EvolutionRun, settings: EngineSettings, replicas: number): Deployment {
  return deployment(resource, {
    name: workersName(resource),
    component: 'worker',
    replicas,
    selector: componentSelector(resource, 'worker'),
    template: template(resource, settings, 'worker', 'Always'),
    queueName: resource.spec.scheduling.queueName,
    progressDeadlineSeconds: 600,
  });
}

function template(
  resource: EvolutionRun,
  settings: EngineSettings,
  component: 'coordinator' | 'worker',
  restartPolicy: 'Never' | 'Always',
): PodTemplate {
  const { spec } = resource;
  const { pod = {} } = spec;
  const output = component === 'coordinator' ? outputVolume(resource) : { env: {}, mounts: [], volumes: [] };
  const given = givenTo(resource, component, settings, output.env);
  return podTemplate({
    ...pod,
    ...given.pod,
    labels: {
      ...pod.labels,
      ...childLabels(resource, component),
      [labelOfAttempt]: attemptOf(resource),
    },
    restartPolicy,
    terminationGracePeriodSeconds: pod.terminationGracePeriodSeconds ?? workerGraceSeconds,
    scheduling: schedulingOf(resource, { selector: componentSelector(resource, component) }),
    container: {
      image: settings.image,
      imagePullPolicy: settings.imagePullPolicy ?? 'IfNotPresent',
      ...pod,
      ...given.container,
      resources: spec.resources,
      mounts: [...given.container.mounts, ...output.mounts],
      http: { port: httpPort, startupSeconds: 120, drainSeconds },
    },
    volumes: [...given.pod.volumes, ...output.volumes],
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
