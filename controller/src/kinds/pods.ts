// Why pods do not get on: the reason a person can act on, read off their status.
import type { Pod } from '../objects/types.ts';
import { missingObject } from './missing.ts';

export interface Trouble {
  reason: string;
  message: string;
  /** Until then it is nothing unusual, and no reason to warn. */
  quietUntil?: Date;
  /** It is nothing unusual however long it lasts. */
  isUsual?: boolean;
  /** It has happened so often that waiting does not help. */
  isFinal?: boolean;
}

/** What else is known of the resource whose pods they are. */
export interface About {
  spec?: object;
  /** Where the spec says what they may have; `spec.resources` when left out. */
  resources?: string;
  /** What the kubelet said of a pod's volumes. */
  failedMount?: (pod: Pod) => string | undefined;
}

/** A volume is made in a few seconds, or not at all. */
const bindingMs = 60_000;
/** Restarts, with longer and longer waits, that took some minutes. */
const restartsInVain = 5;

/**
 * The first trouble found, in the order in which a person would mend them; nothing when all pods get on.
 * @param now For whom waits and warns later; left out, everything is told as what it is at its worst.
 */
export function troubleOf(pods: readonly Pod[], now?: Date, about: About = {}): Trouble | undefined {
  for (const find of [imageTrouble, configTrouble, mountTrouble, memoryTrouble, crashTrouble, pendingTrouble]) {
    for (const pod of pods) {
      const trouble = find(pod, now, about);
      if (trouble) return trouble;
    }
  }
  return undefined;
}

const imageReasons = new Set(['ErrImagePull', 'ImagePullBackOff', 'InvalidImageName', 'ErrImageNeverPull']);

function imageTrouble(pod: Pod): Trouble | undefined {
  const waiting = engineStatus(pod)?.state?.waiting;
  if (!waiting?.reason || !imageReasons.has(waiting.reason)) return undefined;
  return {
    reason: 'ImageUnavailable',
    message: `pod ${pod.metadata.name}: ${waiting.message ?? waiting.reason}; check spec.pod.image, the pull secret and the registry`,
  };
}

function configTrouble(pod: Pod, _now: Date | undefined, { spec }: About): Trouble | undefined {
  const waiting = engineStatus(pod)?.state?.waiting;
  if (waiting?.reason !== 'CreateContainerConfigError' && waiting?.reason !== 'CreateContainerError') return undefined;
  const missing = missingObject(waiting.message ?? '', pod.metadata.namespace, spec);
  if (missing) return missing;
  return {
    reason: 'ConfigurationMissing',
    message: `pod ${pod.metadata.name}: ${waiting.message ?? waiting.reason}`,
  };
}

function mountTrouble(pod: Pod, _now: Date | undefined, { spec, failedMount }: About): Trouble | undefined {
  const said = failedMount?.(pod);
  if (said === undefined) return undefined;
  const missing = missingObject(said, pod.metadata.namespace, spec);
  return missing ?? { reason: 'VolumeNotMounted', message: `pod ${pod.metadata.name}: ${said.slice(0, 500)}` };
}

function memoryTrouble(pod: Pod, _now: Date | undefined, { resources = 'spec.resources' }: About): Trouble | undefined {
  if (lastTermination(pod)?.reason !== 'OOMKilled') return undefined;
  return {
    reason: 'OutOfMemory',
    message: `pod ${pod.metadata.name} was killed for memory; raise ${resources}.limits.memory`,
  };
}

function crashTrouble(pod: Pod): Trouble | undefined {
  const terminated = lastTermination(pod);
  if (!terminated || terminated.exitCode === 0) return undefined;
  const isFinal = (engineStatus(pod)?.restartCount ?? 0) >= restartsInVain;
  const message = `pod ${pod.metadata.name} ended with exit code ${terminated.exitCode}${terminated.reason ? ` (${terminated.reason})` : ''}: ${lastWords(terminated.message) || 'no message; see its log'}`;
  return isFinal
    ? { reason: 'PodFailed', message: `${message}; it was started ${restartsInVain} times or more in vain`, isFinal }
    : { reason: 'PodFailed', message };
}

function pendingTrouble(
  pod: Pod,
  now: Date | undefined,
  { spec, resources = 'spec.resources' }: About,
): Trouble | undefined {
  if (pod.status?.phase !== 'Pending') return undefined;
  const scheduled = pod.status.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status !== 'False') return undefined;
  // What the scheduler was told of a claim ends with the reason for which it asked.
  const message = (scheduled.message ?? '').replace(/\.\s+not found\.?$/, '');
  if (scheduled.reason === 'SchedulingGated')
    return { reason: 'SchedulingGated', message: message || 'pods wait for admission' };
  const missing = missingObject(message, pod.metadata.namespace, spec);
  if (missing) return missing;
  if (/unbound immediate PersistentVolumeClaims/.test(message)) {
    const quietUntil = new Date(new Date(scheduled.lastTransitionTime ?? 0).getTime() + bindingMs);
    if (now && now < quietUntil) return { reason: 'ClaimBinding', message, quietUntil };
    return { reason: 'ClaimUnbound', message: `${message}; check the storage class of the claim` };
  }
  // Devices are extended resources, whose names have a slash, or claims that cannot be allocated.
  if (/Insufficient [^\s,]+\/|cannot allocate all claims|resourceclaim/i.test(message))
    return { reason: 'InsufficientGPU', message: advised(message, gpuAdvice) };
  return { reason: 'Unschedulable', message: advised(message, adviceOn(message, resources)) };
}

const gpuAdvice = 'lower spec.gpu.count or spec.resources, free a GPU, or add a node that has one';

function advised(message: string, advice: string | undefined): string {
  return advice ? `${message.replace(/\.$/, '')}; ${advice}` : message;
}

function adviceOn(message: string, resources: string): string | undefined {
  if (/Insufficient (cpu|memory|ephemeral-storage)/.test(message))
    return `lower ${resources}.requests, or add a node with more`;
  if (/affinity|selector|taint|topology/i.test(message)) return 'change spec.scheduling, or add a node that fits it';
  return undefined;
}

function engineStatus(pod: Pod) {
  return pod.status?.containerStatuses?.find(({ name }) => name === 'engine');
}

function lastTermination(pod: Pod) {
  const engine = engineStatus(pod);
  const ready = pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
  // What became of an earlier container of a pod that serves again is history.
  return engine?.state?.terminated ?? (ready ? undefined : engine?.lastState?.terminated);
}

/** Of an engine that logs JSON what it says was wrong, of any other what it wrote first. */
function lastWords(text: string | undefined): string {
  const said = (text ?? '').trim().split('\n').map(errorIn);
  return said.findLast((each) => each !== undefined)?.slice(0, 300) ?? firstLine(text);
}

function errorIn(line: string): string | undefined {
  try {
    const { err, error, msg } = JSON.parse(line) as Record<string, unknown>;
    const inside = [err, error].map((each) => (each as { message?: unknown } | null | undefined)?.message);
    return [err, error, ...inside, msg].find((each): each is string => typeof each === 'string' && each !== '');
  } catch {
    return undefined;
  }
}

/** The kubelet gives the end of a log, whose first line may be cut: one of JSON that says no error is not for people. */
function firstLine(text: string | undefined): string {
  const lines = (text ?? '').trim().split('\n');
  return lines.find((line) => !/":[^]*\}$|^\{"/.test(line))?.slice(0, 300) ?? '';
}
