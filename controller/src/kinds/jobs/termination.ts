// What the pods of a Job say when they end: one JSON object in the container's termination message.
import { z } from 'zod';
import type { Pod } from '../../objects/types.ts';

const failure = z.object({
  step: z.string(),
  error: z.object({ reason: z.string(), message: z.string(), field: z.string().optional() }),
});

export type StepFailure = z.infer<typeof failure>['error'] & {
  /** Worth another attempt with the same spec. */
  retry: boolean;
  exitCode: number | undefined;
  at: Date | undefined;
};

/** Exit code (EX_TEMPFAIL) of a step that may succeed another time: a full disk, an unreachable store. */
const temporaryExitCode = 75;

/** What the pod that ended last said of its failure. */
export function stepFailure(pods: readonly Pod[]): StepFailure | undefined {
  const ended = pods
    .map((pod) => termination(pod))
    .filter((terminated) => terminated !== undefined && terminated.exitCode !== 0)
    .sort((a, b) => ((a?.finishedAt ?? '') < (b?.finishedAt ?? '') ? 1 : -1));
  for (const terminated of ended) {
    const parsed = failure.safeParse(json(terminated?.message));
    if (!parsed.success) continue;
    const at = terminated?.finishedAt === undefined ? undefined : new Date(terminated.finishedAt);
    const exitCode = terminated?.exitCode;
    return { ...parsed.data.error, retry: exitCode === temporaryExitCode, exitCode, at };
  }
  return undefined;
}

/** What the first pod that succeeded said, when it is of the schema. */
export function firstSuccess<T>(pods: readonly Pod[], schema: z.ZodType<T>): T | undefined {
  for (const pod of pods) {
    const terminated = termination(pod);
    if (terminated?.exitCode !== 0) continue;
    const parsed = schema.safeParse(json(terminated.message));
    if (parsed.success) return parsed.data;
  }
  return undefined;
}

function termination(pod: Pod) {
  return pod.status?.containerStatuses?.find(({ name }) => name === 'engine')?.state?.terminated;
}

function json(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
