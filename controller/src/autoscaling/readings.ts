// From the signals of pods to the readings that a decision is made from.

import type { PodSample, Reading } from './replicas.ts';
import type { Aim } from './settings.ts';
import { mergeBuckets, type PodSignals, quantile } from './signals.ts';

export interface PodState {
  ready: boolean;
  /** Undefined: it was not heard. */
  signals: PodSignals | undefined;
}

/** What a pod asks for; undefined: its limit stands in. */
export interface Requests {
  cpu: number | undefined;
  memory: number | undefined;
}

export function readingOf(
  { type, target }: Aim,
  pods: readonly PodState[],
  requests: Requests,
): Reading & { name: string } {
  if (type === 'LatencyP95' || type === 'ErrorRate') {
    const readyPods = pods.filter(({ ready }) => ready).length;
    const figure = type === 'LatencyP95' ? latencyOf(pods) : errorRateOf(pods);
    return { name: type, of: 'Whole', target, value: isTrusted(pods, figure, target) ? figure : undefined, readyPods };
  }
  const value = podValues[type];
  const samples: PodSample[] = pods.map(({ ready, signals }) => ({
    ready,
    value: signals && value(signals, requests),
  }));
  return { name: type, of: 'Pods', target, pods: samples };
}

const podValues: Record<
  Exclude<Aim['type'], 'LatencyP95' | 'ErrorRate'>,
  (signals: PodSignals, requests: Requests) => number | undefined
> = {
  QueueDepth: ({ queueDepth }) => queueDepth,
  Concurrency: ({ concurrency }) => concurrency,
  RequestsPerSecond: ({ requestsPerSecond }) => requestsPerSecond,
  CPU: ({ cpu, cpuLimit }, requests) => share(cpu, requests.cpu ?? cpuLimit),
  Memory: ({ memory, memoryLimit }, requests) => share(memory, requests.memory ?? memoryLimit),
  GPU: ({ gpu }) => gpu,
};

/** 95th percentile in seconds over all pods; 0 where nothing was asked and nothing waits for an answer. */
export function latencyOf(pods: readonly PodState[]): number | undefined {
  const heard = heardOf(pods).filter(({ latency }) => latency !== undefined);
  if (heard.length === 0) return undefined;
  const measured = quantile(0.95, mergeBuckets(heard.map(({ latency }) => latency ?? [])));
  return measured ?? (heard.every(({ concurrency }) => concurrency === 0) ? 0 : undefined);
}

/** Share of answers that were errors of the server, 0 to 1. */
export function errorRateOf(pods: readonly PodState[]): number | undefined {
  const rated = heardOf(pods).filter(
    ({ requestsPerSecond, errorsPerSecond }) => requestsPerSecond !== undefined && errorsPerSecond !== undefined,
  );
  if (rated.length === 0) return undefined;
  const requests = rated.reduce((sum, { requestsPerSecond = 0 }) => sum + requestsPerSecond, 0);
  const errors = rated.reduce((sum, { errorsPerSecond = 0 }) => sum + errorsPerSecond, 0);
  return requests > 0 ? Math.min(1, errors / requests) : 0;
}

const heardOf = (pods: readonly PodState[]): PodSignals[] =>
  pods.flatMap(({ ready, signals }) => (ready && signals ? [signals] : []));

/** The silent ones may be the slow ones: all is well only when all have said so. */
function isTrusted(pods: readonly PodState[], figure: number | undefined, target: number): boolean {
  if (figure === undefined || figure >= target) return true;
  return pods.every(({ ready, signals }) => !ready || signals !== undefined);
}

const share = (used: number | undefined, of: number | undefined): number | undefined =>
  used === undefined || of === undefined || of <= 0 ? undefined : used / of;
