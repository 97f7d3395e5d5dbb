// Why pods do not get on: the reason a person can act on, read off their status.
import type { Pod } from '../objects/types.ts';

export interface Trouble {
  reason: string;
  message: string;
  /** Until then it is nothing unusual, and no reason to warn. */
  quietUntil?: Date;
  /** It is nothing unusual however long it lasts. */
  isUsual?: boolean;
}

/** A volume is made in a few seconds, or not at all. */
const bindingMs = 60_000;

/**
 * The first trouble found, in the order in which a person would mend them; nothing when all pods get on.
 * @param now For whom waits and warns later; left out, everything is told as what it is at its worst.
 */
export function troubleOf(pods: readonly Pod[], now?: Date): Trouble | undefined {
  for (const find of [imageTrouble, configTrouble, memoryTrouble, crashTrouble, pendingTrouble]) {
    for (const pod of pods) {
      const trouble = find(pod, now);
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

function configTrouble(pod: Pod): Trouble | undefined {
  const waiting = engineStatus(pod)?.state?.waiting;
  if (waiting?.reason !== 'CreateContainerConfigError' && waiting?.reason !== 'CreateContainerError') return undefined;
  return {
    reason: 'ConfigurationMissing',
    message: `pod ${pod.metadata.name}: ${waiting.message ?? waiting.reason}`,
  };
}

function memoryTrouble(pod: Pod): Trouble | undefined {
  if (lastTermination(pod)?.reason !== 'OOMKilled') return undefined;
  return {
    reason: 'OutOfMemory',
    message: `pod ${pod.metadata.name} was killed for memory; raise spec.resources.limits.memory`,
  };
}

function crashTrouble(pod: Pod): Trouble | undefined {
  const terminated = lastTermination(pod);
  if (!terminated || terminated.exitCode === 0) return undefined;
  return {
    reason: 'PodFailed',
    message: `pod ${pod.metadata.name} ended with exit code ${terminated.exitCode}${terminated.reason ? ` (${terminated.reason})` : ''}: ${firstLine(terminated.message) || 'no message; see its log'}`,
  };
}

function pendingTrouble(pod: Pod, now: Date | undefined): Trouble | undefined {
  if (pod.status?.phase !== 'Pending') return undefined;
  const scheduled = pod.status.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status !== 'False') return undefined;
  // What the scheduler was told of a claim ends with the reason for which it asked.
  const message = (scheduled.message ?? '').replace(/\.\s+not found\.?$/, '');
  if (scheduled.reason === 'SchedulingGated')
    return { reason: 'SchedulingGated', message: message || 'pods wait for admission' };
  const claim = /persistentvolumeclaim "([^"]+)" not found/.exec(message);
  if (claim) {
    return {
      reason: 'ClaimNotFound',
      message: `PersistentVolumeClaim ${claim[1]} does not exist in namespace ${pod.metadata.namespace}; create it, or name another in spec.output`,
    };
  }
  if (/unbound immediate PersistentVolumeClaims/.test(message)) {
    const quietUntil = new Date(new Date(scheduled.lastTransitionTime ?? 0).getTime() + bindingMs);
    if (now && now < quietUntil) return { reason: 'ClaimBinding', message, quietUntil };
    return { reason: 'ClaimUnbound', message: `${message}; check the storage class of the claim` };
  }
  // Devices are extended resources, whose names have a slash, or claims that cannot be allocated.
  if (/Insufficient [^\s,]+\/|cannot allocate all claims|resourceclaim/i.test(message))
    return { reason: 'InsufficientGPU', message };
  return { reason: 'Unschedulable', message };
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

function firstLine(text: string | undefined): string {
  return (text ?? '').trim().split('\n')[0]?.slice(0, 300) ?? '';
}
