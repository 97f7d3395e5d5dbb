// A service under a trace, second by second: pods that take time to start serve what arrives, what they cannot waits.
// Every strategy sees the same metric, requests a second for each pod, and decides by the code of the controller.
import { decide, defaultBehavior, type Memory } from '../../controller/src/autoscaling/decide.ts';
import { Forecaster } from '../../controller/src/autoscaling/forecast.ts';
import type { Trace } from './autoscaling-traces.ts';

/** Requests a second that a pod answers, and that are aimed at. */
const capacity = 10;
const target = 7;
const startSeconds = 45;
const objectiveSeconds = 1;
const [min, max] = [1, 60];

export interface Strategy {
  /** Seconds between two decisions. */
  every: number;
  /** Seconds between two looks at the metric. */
  poll: number;
  /** Seconds that a rate is measured over. */
  window: number;
  predictive: boolean;
}

export interface Outcome {
  /** Requests that waited for longer than the objective. */
  violations: number;
  podHours: number;
  /** How often growing turned into shrinking or the other way round. */
  turns: number;
}

export const strategies: readonly (Strategy & { name: string })[] = [
  { name: 'Quintet', every: 2, poll: 2, window: 15, predictive: true },
  // kube-controller-manager's sync period; what it reads is as fresh as a metrics server's.
  { name: 'HPA', every: 15, poll: 15, window: 15, predictive: false },
  // The HPA decides for KEDA as well; what it reads is as old as pollingInterval.
  { name: 'KEDA', every: 15, poll: 30, window: 15, predictive: false },
];

export function simulate(trace: Trace, { every, poll, window, predictive }: Strategy): Outcome {
  const forecaster = predictive ? new Forecaster({ leadSeconds: startSeconds + 15 }) : undefined;
  const arrivals: number[] = [];
  const first = Math.ceil(trace.load(0) / target);
  /** Second from which each pod serves. */
  let pods: number[] = Array<number>(first).fill(0);
  let memory: Memory | undefined;
  let rate: number | undefined = trace.load(0);
  let backlog = 0;
  let direction = 0;
  const outcome: Outcome = { violations: 0, podHours: 0, turns: 0 };
  for (let t = 0; t < trace.seconds; t++) {
    const load = trace.load(t);
    arrivals.push(load);
    if (arrivals.length > window) arrivals.shift();
    const ready = pods.filter((since) => since <= t).length;
    backlog = Math.max(0, backlog + load - ready * capacity);
    if (backlog > objectiveSeconds * ready * capacity) outcome.violations += Math.round(load);
    outcome.podHours += pods.length / 3600;
    if (t % poll === 0) {
      rate = trace.outage?.(t) ? undefined : arrivals.reduce((sum, each) => sum + each, 0) / arrivals.length;
    }
    if (t % every !== 0) continue;
    const perPod = rate === undefined ? undefined : rate / Math.max(1, ready);
    const samples = pods.map((since) => ({ ready: since <= t, value: since <= t ? perPod : undefined }));
    if (rate !== undefined) forecaster?.observe(t * 1000, rate / target);
    const ahead = forecaster?.forecast();
    const decision = decide({
      now: t * 1000,
      current: pods.length,
      min,
      max,
      behavior: defaultBehavior,
      readings: [{ name: 'RequestsPerSecond', of: 'Pods', target, pods: samples }],
      forecast: ahead?.isBetter ? ahead.value : undefined,
      memory,
    });
    ({ memory } = decision);
    const by = decision.desired - pods.length;
    if (by === 0) continue;
    if (direction !== 0 && Math.sign(by) !== direction) outcome.turns += 1;
    direction = Math.sign(by);
    if (by > 0) pods.push(...Array<number>(by).fill(t + startSeconds));
    // Those that serve not yet go first.
    else pods = pods.toSorted((a, b) => a - b).slice(0, decision.desired);
  }
  return outcome;
}
