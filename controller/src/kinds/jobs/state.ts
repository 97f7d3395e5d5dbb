// How a Job stands, and why it failed, in words for the one who can mend it.
import type { Job, Pod } from '../../objects/types.ts';
import { type Trouble, troubleOf } from '../pods.ts';
import { type StepFailure, stepFailure } from './termination.ts';

export type JobState = 'Waiting' | 'Active' | 'Complete' | 'Failed';

export interface Failure extends Trouble {
  /** The same spec may succeed at another time. */
  retry: boolean;
  /** The output was lost: nothing that was computed is there any more. */
  startsOver?: boolean;
  failedAt: Date;
}

export function stateOfJob(job: Job): JobState {
  const holds = (type: string) => job.status?.conditions?.some((each) => each.type === type && each.status === 'True');
  if (holds('Complete')) return 'Complete';
  if (holds('Failed')) return 'Failed';
  return 'Active';
}

/** Of a Job that failed: what its pods said, else what became of them, else what the Job controller says. */
export function failureOfJob({ metadata, status }: Job, pods: readonly Pod[], now: Date): Failure {
  const condition = status?.conditions?.find(({ type }) => type === 'Failed');
  const failedAt = condition?.lastTransitionTime ? new Date(condition.lastTransitionTime) : now;
  const said = stepFailure(pods);
  if (said) return { reason: said.reason, message: described(said), retry: said.retry, failedAt };
  const trouble = troubleOf(pods);
  if (trouble) return { ...trouble, retry: false, failedAt };
  return {
    reason: condition?.reason ?? 'JobFailed',
    message: `Job ${metadata.name}: ${condition?.message ?? 'failed'}; see the log of its pods`,
    retry: false,
    failedAt,
  };
}

/** A Job whose pods ended well and said nothing that can be read: an image that is not the engine, or not of this version. */
export function silent(job: Job, now: Date): Failure {
  const message = `Job ${job.metadata.name} is complete, but its pod did not say what it found; check that its image is the engine of this version`;
  return { reason: 'EngineSilent', message, retry: false, failedAt: now };
}

/** Longer and longer as the run goes on: a quarter of its age, within 10 s and 5 min. */
export function retryAt(failure: Failure, startTime: Date | undefined): Date {
  const age = failure.failedAt.getTime() - (startTime ?? failure.failedAt).getTime();
  return new Date(failure.failedAt.getTime() + Math.min(Math.max(age / 4, 10_000), 300_000));
}

/** With the field that it is about, unless the words name it. */
export function described({ field, message }: StepFailure): string {
  return field && !message.includes(field) ? `${field}: ${message}` : message;
}
