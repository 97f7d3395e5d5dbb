// What the engine's steps say when they end: one JSON object in the container's termination message.
import { z } from 'zod';
import type { Pod } from '../../objects/types.ts';

const target = z.object({ name: z.string(), pressure: z.string() }).partial({ pressure: true }).loose();
const solution = z.object({ residual: z.string(), targets: z.array(target).max(64) });
const safety = z.object({ verdict: z.string(), maxPressure: z.string().optional(), margin: z.string().optional() });

const failure = z.object({
  step: z.string(),
  error: z.object({ reason: z.string(), message: z.string(), field: z.string().optional() }),
});

const plan = z.object({
  step: z.literal('plan'),
  shards: z.number().int().min(1),
  points: z.number(),
  bytes: z.number(),
  memoryBytes: z.number(),
  solution,
  safety,
  warnings: z.array(z.string()).max(16).default([]),
});

const finish = z.object({
  step: z.literal('finish'),
  solution,
  safety,
  throughput: z.object({ pointsPerSecond: z.number(), backend: z.string(), method: z.string() }),
  output: z.object({ bytes: z.number(), summary: z.string(), pictures: z.array(z.string()).max(16) }),
});

export type PlanResult = z.infer<typeof plan>;
export type FinishResult = z.infer<typeof finish>;
export type StepFailure = z.infer<typeof failure>['error'] & {
  /** Worth another attempt with the same spec. */ retry: boolean;
};

/** Exit code (EX_TEMPFAIL) of a step that may succeed another time: a full disk, an unreachable store. */
const temporaryExitCode = 75;

export const planResult = (pods: readonly Pod[]): PlanResult | undefined => firstSuccess(pods, plan);
export const finishResult = (pods: readonly Pod[]): FinishResult | undefined => firstSuccess(pods, finish);

/** What the pod that ended last said of its failure. */
export function stepFailure(pods: readonly Pod[]): StepFailure | undefined {
  const ended = pods
    .map((pod) => termination(pod))
    .filter((terminated) => terminated !== undefined && terminated.exitCode !== 0)
    .sort((a, b) => ((a?.finishedAt ?? '') < (b?.finishedAt ?? '') ? 1 : -1));
  for (const terminated of ended) {
    const parsed = failure.safeParse(json(terminated?.message));
    if (parsed.success) return { ...parsed.data.error, retry: terminated?.exitCode === temporaryExitCode };
  }
  return undefined;
}

function firstSuccess<T>(pods: readonly Pod[], schema: z.ZodType<T>): T | undefined {
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
