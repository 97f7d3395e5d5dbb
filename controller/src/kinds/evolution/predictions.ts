// The pods that answer predictions once a model of the run's name has been promoted. They follow the registry by themselves: what they serve may change
// without them, and a new search leaves them alone.
import type { EvolutionRun } from '@quintet/crds';
import type { KubeObject } from '../../kube/types.ts';
import { resourceFile, resourceFolder } from '../../objects/configmap.ts';
import { type Deployment, deployment } from '../../objects/deployment.ts';
import { childLabels, childName, hashOf } from '../../objects/meta.ts';
import { podTemplate, variables } from '../../objects/pod.ts';
import { referenceMounts } from '../../objects/references.ts';
import { schedulingOf } from '../../objects/scheduling.ts';
import { httpPort, service, serviceUrl } from '../../objects/service.ts';
import type { EngineSettings } from '../image.ts';
import { storesOf } from '../stores.ts';
import { componentSelector, mainName } from './objects.ts';

/** Ids of the models that answer, and the challenger's share; as the coordinator says it, or the status keeps it. */
export type Promoted = Partial<Record<'url' | 'champion' | 'challenger' | 'weight', string | undefined>>;

const component = 'predictions';
/** As the schema has them, for runs that promote without saying how to serve. */
const defaults = {
  replicas: 1,
  resources: { requests: { cpu: '500m', memory: '512Mi' }, limits: { memory: '512Mi' } },
};
const startupSeconds = 120;
/** Endpoints forget a pod, then requests under way end. */
const drainSeconds = 5;
const graceSeconds = 35;

export const predictionsName = ({ metadata }: EvolutionRun): string =>
  childName(metadata.name, 'evolution-predictions');

/** None before a champion or challenger is there, and none where nothing is promoted or no replica is wanted. */
export function predictions(
  resource: EvolutionRun,
  promoted: Promoted | undefined,
  settings: EngineSettings,
): KubeObject[] {
  if (!serves(resource, promoted)) return [];
  return [predictionsService(resource), predictionsDeployment(resource, settings)];
}

/** Of the status: what was promoted, and where it answers. */
export function deploymentStatus(resource: EvolutionRun, promoted: Promoted | undefined): Promoted | undefined {
  if (!serves(resource, promoted)) return promoted;
  return { ...promoted, url: serviceUrl(predictionsService(resource)) };
}

function serves({ spec: { promotion } }: EvolutionRun, promoted: Promoted | undefined): boolean {
  const { replicas } = { ...defaults, ...promotion.serving };
  return promotion.mode !== 'None' && replicas > 0 && (promoted?.champion ?? promoted?.challenger) !== undefined;
}

const predictionsService = (resource: EvolutionRun) =>
  service(resource, predictionsName(resource), componentSelector(resource, component));

function predictionsDeployment(resource: EvolutionRun, settings: EngineSettings): Deployment {
  const { pod = {}, promotion, registry, scheduling } = resource.spec;
  const { replicas, resources } = { ...defaults, ...promotion.serving };
  const selector = componentSelector(resource, component);
  // Neither data nor queue: predictions need the registry and their tokens.
  const references = referenceMounts({ registry, promotion });
  const stores = storesOf(resource, mainName(resource), settings.stores);
  const ours = { QUINTET_RESOURCE: resourceFile, PORT: String(httpPort), ...settings.env };
  return deployment(resource, {
    name: predictionsName(resource),
    component,
    replicas,
    selector,
    queueName: scheduling.queueName,
    progressDeadlineSeconds: startupSeconds + 300,
    template: podTemplate({
      ...pod,
      labels: { ...pod.labels, ...childLabels(resource, component) },
      annotations: {
        ...pod.annotations,
        'quintet.dev/config': hashOf({ promotion, registry }),
        ...(stores.mark && { 'quintet.dev/stores': stores.mark }),
      },
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: pod.terminationGracePeriodSeconds ?? graceSeconds,
      scheduling: schedulingOf(resource, { selector }),
      container: {
        image: settings.image,
        imagePullPolicy: settings.imagePullPolicy ?? 'IfNotPresent',
        ...pod,
        args: ['serve'],
        env: [...variables(pod.env, ours), ...stores.variables],
        resources,
        mounts: [{ name: 'resource', mountPath: resourceFolder, readOnly: true }, ...references.mounts],
        http: { port: httpPort, startupSeconds, drainSeconds },
      },
      volumes: [{ name: 'resource', configMap: { name: mainName(resource) } }, ...references.volumes],
    }),
  });
}
