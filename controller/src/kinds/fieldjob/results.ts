// What the steps of a FieldJob say when they succeed.
import { z } from 'zod';
import type { Pod } from '../../objects/types.ts';
import { firstSuccess } from '../jobs/termination.ts';

const target = z.object({ name: z.string(), pressure: z.string() }).partial({ pressure: true }).loose();
const solution = z.object({ residual: z.string(), iterations: z.int().optional(), targets: z.array(target).max(64) });
const safety = z.object({
  verdict: z.string(),
  maxPressure: z.string().optional(),
  margin: z.string().optional(),
  message: z
    .string()
    .transform((text) => text.slice(0, 1024))
    .optional(),
});

const plan = z.object({
  step: z.literal('plan'),
  method: z.string().optional(),
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

export const planResult = (pods: readonly Pod[]): PlanResult | undefined => firstSuccess(pods, plan);
export const finishResult = (pods: readonly Pod[]): FinishResult | undefined => firstSuccess(pods, finish);
