// The Deployments of a serving engine: one on its first backend, and with `Preferred` a bridge on CPU beside it.
import { resourceFile, resourceFolder } from '../../objects/configmap.ts';
import { type Deployment, deployment } from '../../objects/deployment.ts';
import { type Backend, firstBackend, gpuResources } from '../../objects/gpu.ts';
import { childLabels, childName, hashOf, selectorLabels } from '../../objects/meta.ts';
import { podTemplate, variables } from '../../objects/pod.ts';
import { referenceMounts } from '../../objects/references.ts';
import { schedulingOf } from '../../objects/scheduling.ts';
import { httpPort } from '../../objects/service.ts';
import type { PodTemplate } from '../../objects/types.ts';
import { backendLabels } from '../gpu.ts';
import type { EngineSettings } from '../image.ts';
import { storesOf } from '../stores.ts';
import { engines, type Served } from './engines.ts';
import { snapshotOf } from './snapshot.ts';

const labelOfRole = 'quintet.dev/role';
const cacheFolder = '/var/cache/quintet';
/** Endpoints everywhere have forgotten a pod within this time after its end began. */
const forgetSeconds = 5;

export const engineOf = ({ kind }: Served) => engines[kind];

/** Name of every object of the resource but its CPU bridge. */
export const mainName = (resource: Served): string => childName(resource.metadata.name, engineOf(resource).name);
export const bridgeName = (resource: Served): string =>
  childName(resource.metadata.name, `${engineOf(resource).name}-cpu`);

/** Name of the slice through which activators stand in. */
export const activatorSliceName = (resource: Served): string =>
  childName(resource.metadata.name, `${engineOf(resource).name}-activator`);

/** Name of the ConfigMap with what the forecast has learnt. */
export const forecastName = (resource: Served): string =>
  childName(resource.metadata.name, `${engineOf(resource).name}-forecast`);

/** What selects the pods that the Service sends requests to, whatever they run on. */
export const servingSelector = (resource: Served): Record<string, string> => ({
  ...selectorLabels(resource),
  'app.kubernetes.io/component': 'engine',
});

/**
 * The part of the spec that pods are made of: what a changed autoscaler or count leaves alone does not roll them, and
 * neither does what the engine reads anew while it runs.
 */
export function engineSpec({ spec }: Served): Record<string, unknown> {
  const { replicas: _r, autoscaling: _a, suspend: _s, healing: _h, rollout: _o, ...rest } = spec;
  return rest;
}

/** Adapters of a CopyEngine are loaded while it serves; one on a claim that no pod has yet changes the pods by its mount. */
function restartSpec(resource: Served): Record<string, unknown> {
  const { adapters: _, ...rest } = engineSpec(resource);
  return rest;
}

/** @param maxUnavailable Pods that a rollout may take away before their successors serve. */
export function mainDeployment(
  resource: Served,
  settings: EngineSettings,
  replicas: number,
  maxUnavailable: number,
): Deployment {
  const backend = firstBackend(resource.spec.gpu);
  return engineDeployment(resource, settings, backend, mainName(resource), replicas, maxUnavailable);
}

export function bridgeDeployment(resource: Served, settings: EngineSettings, replicas: number): Deployment {
  return engineDeployment(resource, settings, 'CPU', bridgeName(resource), replicas);
}

function engineDeployment(
  resource: Served,
  settings: EngineSettings,
  backend: Backend,
  name: string,
  replicas: number,
  maxUnavailable = 0,
): Deployment {
  const { startupSeconds } = engineOf(resource);
  // By role, not by backend: a selector cannot be changed, a policy can.
  const selector = { ...servingSelector(resource), [labelOfRole]: name === mainName(resource) ? 'main' : 'bridge' };
  return deployment(resource, {
    name,
    component: 'engine',
    replicas,
    maxUnavailable,
    selector,
    template: template(resource, settings, backend, selector),
    queueName: resource.spec.scheduling.queueName,
    progressDeadlineSeconds: startupSeconds + 300,
  });
}

function template(
  resource: Served,
  settings: EngineSettings,
  backend: Backend,
  selector: Record<string, string>,
): PodTemplate {
  const { spec } = resource;
  const { pod = {} } = spec;
  const { startupSeconds, drainSeconds } = engineOf(resource);
  const references = referenceMounts(spec);
  const snapshot = snapshotOf(resource);
  const stores = storesOf(resource, mainName(resource), settings.stores);
  const ours = { QUINTET_RESOURCE: resourceFile, QUINTET_CACHE: cacheFolder, PORT: String(httpPort), ...settings.env };
  return podTemplate({
    ...pod,
    serviceAccountName: pod.serviceAccountName ?? mainName(resource),
    labels: { ...pod.labels, ...childLabels(resource, 'engine'), ...selector, ...backendLabels(backend) },
    annotations: {
      ...pod.annotations,
      'quintet.dev/config': hashOf(restartSpec(resource)),
      ...(stores.mark && { 'quintet.dev/stores': stores.mark }),
    },
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: pod.terminationGracePeriodSeconds ?? forgetSeconds + drainSeconds,
    scheduling: schedulingOf(resource, { backend, claimTemplate: mainName(resource), selector }),
    container: {
      image: settings.image,
      imagePullPolicy: settings.imagePullPolicy ?? 'IfNotPresent',
      ...pod,
      args: ['serve'],
      env: [...variables(pod.env, { ...ours, ...snapshot.env }), ...stores.variables],
      resources: gpuResources(spec.gpu, backend, spec.resources),
      mounts: [
        { name: 'resource', mountPath: resourceFolder, readOnly: true },
        { name: 'cache', mountPath: cacheFolder },
        ...snapshot.mounts,
        ...references.mounts,
      ],
      http: { port: httpPort, startupSeconds, drainSeconds: forgetSeconds },
    },
    volumes: [
      { name: 'resource', configMap: { name: mainName(resource) } },
      { name: 'cache', emptyDir: { sizeLimit: spec.cache?.disk?.maxSize ?? '1Gi' } },
      ...snapshot.volumes,
      ...references.volumes,
    ],
  });
}
