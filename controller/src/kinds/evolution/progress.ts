// Coordinators' pages: how far one is, and the last word to one. Reconciling never waits for them: a look at what was heard last asks for the next answer.
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
  duplicateRows: count.optional(),
});
export type Progress = z.infer<typeof progress>;

export interface Coordinators {
  /** What a coordinator said last; undefined when nothing was heard yet. */
  progress: (pod: Pod, now: Date) => Progress | undefined;
  /** Tells one that its resource is gone, so that the registry does not take its end for an interruption. */
  cancel: (pod: Pod) => void;
}

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

export function coordinatorsOf({
  every = progressEvery - 1000,
  timeoutMs = 1500,
  port = httpPort,
}: ProgressOptions = {}): Coordinators {
  const known = new Map<string, Known>();
  let agent: Agent | undefined;
  const ask = async (host: string, method: 'GET' | 'POST', path: string): Promise<string> => {
    agent ??= new Agent({ connections: 1, connect: { timeout: timeoutMs }, maxResponseSize: largestPage });
    const options = { method, dispatcher: agent, signal: AbortSignal.timeout(timeoutMs) };
    const { statusCode, body } = await request(`http://${host}:${port}${path}`, options);
    const text = await body.text();
    if (statusCode >= 300) throw new Error(`answered ${statusCode}`);
    return text;
  };
  return {
    progress: (pod, now) => {
      const id = pod.metadata.uid;
      const host = hostOf(pod);
      if (id === undefined || host === undefined || pod.metadata.deletionTimestamp) return undefined;
      const at = now.getTime();
      for (const [other, { asked }] of known) if (at - asked > forgetAfter) known.delete(other);
      const last = known.get(id);
      if (last && at - last.asked < every) return last.said;
      const entry: Known = { asked: at, said: last?.said };
      known.set(id, entry);
      // A coordinator that does not answer has said nothing new.
      void ask(host, 'GET', '/progress')
        .then((text) => (entry.said = progress.parse(JSON.parse(text))))
        .catch(() => undefined);
      return entry.said;
    },
    cancel: (pod) => {
      const host = hostOf(pod);
      if (host !== undefined) void ask(host, 'POST', '/cancelled').catch(() => undefined);
    },
  };
}

/** Of its page, while there is one. */
function hostOf({ status }: Pod): string | undefined {
  if (!status?.podIP || status.phase !== 'Running') return undefined;
  return status.podIP.includes(':') ? `[${status.podIP}]` : status.podIP;
}

/** Such as `1h5m` or `40s`. */
export function timeLeft(seconds: number): string {
  const whole = Math.ceil(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  if (h > 0) return m > 0 ? `${h}h${m}m` : `${h}h`;
  return m > 0 ? (s > 0 ? `${m}m${s}s` : `${m}m`) : `${s}s`;
}
