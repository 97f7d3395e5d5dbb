// How far a coordinator is, as its page says. Reconciling never waits for it: a look at what was heard last asks for the next answer.
import { Agent, request } from 'undici';
import { z } from 'zod';
import { httpPort } from '../../objects/service.ts';
import type { Pod } from '../../objects/types.ts';

const count = z.number().int().min(0);

const progress = z.object({
  runId: z.string().max(64).optional(),
  generation: count.max(10_000).optional(),
  evaluations: z
    .object({ done: count, cached: count, racedOut: count, failed: count, queued: count })
    .partial()
    .optional(),
  best: z
    .object({ learner: z.string().max(64), score: z.string().max(32) })
    .partial()
    .optional(),
  secondsLeft: z.number().min(0).optional(),
  percent: count.max(100).optional(),
  suspectColumns: z.array(z.string().max(256)).max(32).optional(),
});
export type Progress = z.infer<typeof progress>;

/** What a coordinator said last; undefined when nothing was heard yet. */
export type ReadProgress = (pod: Pod, now: Date) => Progress | undefined;

export interface ProgressOptions {
  /** Milliseconds after which an answer is asked for anew. */
  every?: number;
  timeoutMs?: number;
  port?: number;
}

/** How often a run is reconciled whose coordinator speaks. */
export const progressEvery = 5000;
const largestPage = 64 * 1024;
/** Milliseconds after which a pod that nobody asked for is forgotten. */
const forgetAfter = 600_000;

interface Known {
  asked: number;
  said: Progress | undefined;
}

export function progressReader({
  every = progressEvery - 1000,
  timeoutMs = 1500,
  port = httpPort,
}: ProgressOptions = {}): ReadProgress {
  const known = new Map<string, Known>();
  let agent: Agent | undefined;
  const ask = async (url: string): Promise<Progress> => {
    agent ??= new Agent({ connections: 1, connect: { timeout: timeoutMs }, maxResponseSize: largestPage });
    const { statusCode, body } = await request(url, { dispatcher: agent, signal: AbortSignal.timeout(timeoutMs) });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`answered ${statusCode}`);
    return progress.parse(JSON.parse(text));
  };
  return ({ metadata, status }, now) => {
    const id = metadata.uid;
    if (id === undefined || !status?.podIP || status.phase !== 'Running' || metadata.deletionTimestamp)
      return undefined;
    const at = now.getTime();
    for (const [other, { asked }] of known) if (at - asked > forgetAfter) known.delete(other);
    const last = known.get(id);
    if (last && at - last.asked < every) return last.said;
    const entry: Known = { asked: at, said: last?.said };
    known.set(id, entry);
    const host = status.podIP.includes(':') ? `[${status.podIP}]` : status.podIP;
    // A coordinator that does not answer has said nothing new.
    void ask(`http://${host}:${port}/progress`).then(
      (said) => (entry.said = said),
      () => undefined,
    );
    return entry.said;
  };
}

/** Such as `1h5m` or `40s`. */
export function timeLeft(seconds: number): string {
  const whole = Math.ceil(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  if (h > 0) return m > 0 ? `${h}h${m}m` : `${h}h`;
  return m > 0 ? (s > 0 ? `${m}m${s}s` : `${m}m`) : `${s}s`;
}
