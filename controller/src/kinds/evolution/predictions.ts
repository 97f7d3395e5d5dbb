// The pods that answer predictions once a model of the run's name has been promoted. They follow the registry by themselves: what they serve may change
// without them, and a new search leaves them alone.
import type { EvolutionRun } from '@quintet/crds';
import type { KubeObject } from '../../kube/types.ts';
import { type Deployment, deployment } from '../../objects/deployment.ts';
import { childLabels, hashOf } from '../../objects/meta.ts';
import { podTemplate } from '../../objects/pod.ts';
import { schedulingOf } from '../../objects/scheduling.ts';
import { httpPort, service, serviceUrl } from '../../objects/service.ts';
import { type Pod, types } from '../../objects/types.ts';
import type { ConditionDecision, Observed } from '../../reconcile/kind.ts';
import type { EngineSettings } from '../image.ts';
import { isActive } from '../jobs/pods.ts';
import { troubleOf } from '../pods.ts';
import { condition } from '../verdict.ts';
import { componentSelector, predictionsName } from './names.ts';
import { givenTo } from './roles.ts';

/** Ids of the models that answer, and the challenger's share; as the coordinator says it, or the status keeps it. */
export type Promoted = Partial<Record<'url' | 'champion' | 'challenger' | 'weight', string | undefined>>;

const component = 'predictions';
const type = 'PredictionsServing';
/** As the schema has them, for runs that promote without saying how to serve. */
const defaults = {
  replicas: 1,
  drift: 'Enabled',
  resources: { requests: { cpu: '500m', memory: '512Mi' }, limits: { memory: '512Mi' } },
};
const startupSeconds = 120;
/** Endpoints forget a pod, then requests under way end. */
const drainSeconds = 5;
const graceSeconds = 35;

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

/** Whether they answer: a run whose search has succeeded is Ready, whatever becomes of them. */
export function predictionsConditions(
  resource: EvolutionRun,
  promoted: Promoted | undefined,
  observed: Observed,
): ConditionDecision[] {
  if (!serves(resource, promoted)) return [];
  const { replicas: wanted } = { ...defaults, ...resource.spec.promotion.serving };
  const found = observed.get<Deployment>(types.deployment, predictionsName(resource));
  const ready = found?.status?.readyReplicas ?? 0;
  const pods = observed
    .list<Pod>(types.pod)
    .filter((pod) => isActive(pod) && !pod.metadata.deletionTimestamp)
    .filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/component'] === component);
  const trouble = troubleOf(pods, observed.now, {
    spec: resource.spec,
    resources: 'spec.promotion.serving.resources',
    failedMount: (pod) => observed.failedMount?.(pod),
  });
  const count = `${ready} of ${wanted} pods answer at ${serviceUrl(predictionsService(resource))}`;
  if (ready >= wanted) return [condition(type, 'True', 'Serving', count)];
  if (!trouble) return [condition(type, 'False', 'Starting', count)];
  const told = condition(type, 'False', trouble.reason, `${count}; ${trouble.message}`);
  return [trouble.quietUntil || trouble.isUsual ? told : { ...told, warn: true }];
}

const predictionsService = (resource: EvolutionRun) =>
  service(resource, predictionsName(resource), componentSelector(resource, component));

function predictionsDeployment(resource: EvolutionRun, settings: EngineSettings): Deployment {
  const { pod = {}, promotion, registry, scheduling } = resource.spec;
  const { replicas, resources, drift } = { ...defaults, ...promotion.serving };
  const selector = componentSelector(resource, component);
  const given = givenTo(resource, 'serve', settings);
  return deployment(resource, {
    name: predictionsName(resource),
    component,
    replicas,
    selector,
    queueName: scheduling.queueName,
    progressDeadlineSeconds: startupSeconds + 300,
    template: podTemplate({
      ...pod,
      ...given.pod,
      labels: { ...pod.labels, ...childLabels(resource, component) },
      annotations: {
        ...pod.annotations,
        // Of what they read as they start.
        'quintet.dev/config': hashOf({ model: promotion.model, drift, registry }),
        ...(given.mark && { 'quintet.dev/stores': given.mark }),
      },
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: pod.terminationGracePeriodSeconds ?? graceSeconds,
      scheduling: schedulingOf(resource, { selector }),
      container: {
        image: settings.image,
        imagePullPolicy: settings.imagePullPolicy ?? 'IfNotPresent',
        ...pod,
        ...given.container,
        resources,
        http: { port: httpPort, startupSeconds, drainSeconds },
      },
    }),
  });
}
