// Answers that are slower than they are to be: fewer at once, step by step, as long as that helps; what does not help is
// undone. A batch that is too large, or a backend that slows down under many requests, is cured by it; too much load is not.
import { mergeBuckets, quantile } from '../signals.ts';
import { type Look, percent, type Remedy, type Seen } from './rule.ts';

export interface Slow {
  /** Looks in a row above the target, and well below it. */
  slow: number;
  calm: number;
  /** Of the items at once that the spec allows: what was told last, or what pods say where nothing is on its way. */
  share: number;
  /** A step whose effect is not known yet: the percentile before it, and looks until it is judged. */
  trial?: { before: number; left: number };
  /** It did not help: nothing more is tried until it was well again. */
  isInVain: boolean;
}

const slowLooks = 3;
/** Looks until a step has reached all pods and shows: kubelets bring it within two minutes. */
const trialLooks = 6;
/** A percentile of fewer answers says nothing. */
const leastAnswers = 20;
const helpedBelow = 0.9;
const wellBelow = 0.8;
const calmBelow = 0.5;
/** Looks after which it may have been a passing trouble: twenty minutes. */
const calmLooks = 40;
const leastShare = 1 / 8;

const well: Slow = { slow: 0, calm: 0, share: 1, isInVain: false };

export function slowness({ pods, latencyP95: target }: Seen, memory: Slow = well): Look<Slow> {
  const batching = pods.filter(({ signals }) => signals.batchShare !== undefined);
  const latency = mergeBuckets(pods.map(({ signals }) => signals.latency ?? []));
  const p95 = quantile(0.95, latency);
  const isKnown = p95 !== undefined && (latency.at(-1)?.count ?? 0) >= leastAnswers;
  if (target === undefined || batching.length === 0 || !isKnown) return { remedies: [], memory };
  const shares = batching.map(({ signals }) => signals.batchShare ?? 1);
  const least = Math.min(...shares);
  const measured = { p95, target, least, pods: batching.map(({ name }) => name) };
  const told = heard(memory, Math.max(...shares));
  return onTrial(measured, told) ?? (p95 > target ? slower(measured, told) : fastEnough(measured, told));
}

interface Measured {
  p95: number;
  target: number;
  /** Those that make batches, and the smallest share among them. */
  pods: string[];
  least: number;
}

/** Pods know best: they may be new, or have been told by another leader or by hand. A step on trial may not be there yet. */
function heard({ trial, ...memory }: Slow, share: number): Slow {
  if (trial && (trial.left > 1 || share === memory.share)) return { ...memory, trial };
  return { ...memory, share };
}

/** While a step is on trial, and when it is found not to have helped. */
function onTrial(measured: Measured, memory: Slow): Look<Slow> | undefined {
  const { trial, share } = memory;
  if (!trial) return undefined;
  if (trial.left > 1) return { remedies: [], memory: { ...memory, trial: { ...trial, left: trial.left - 1 } } };
  const { p95, target } = measured;
  if (p95 <= target || p95 <= trial.before * helpedBelow) return undefined;
  const undone = Math.min(1, share * 2);
  const remedies = set(measured, undone, 'fewer at once did not help');
  return { remedies, memory: { ...well, share: undone, isInVain: true } };
}

function slower(measured: Measured, { trial, ...memory }: Slow): Look<Slow> {
  const slow = memory.slow + 1;
  const isDue = (trial !== undefined || slow >= slowLooks) && memory.share > leastShare && !memory.isInVain;
  if (!isDue) return { remedies: [], memory: { ...memory, slow, calm: 0 } };
  const share = memory.share / 2;
  const remedies = set(measured, share, 'too slow');
  return { remedies, memory: { ...well, share, trial: { before: measured.p95, left: trialLooks } } };
}

function fastEnough(measured: Measured, { trial: _judged, ...memory }: Slow): Look<Slow> {
  const { p95, target, least } = measured;
  const calm = p95 < target * calmBelow && least < 1 ? memory.calm + 1 : 0;
  const isInVain = memory.isInVain && p95 > target * wellBelow;
  if (calm < calmLooks) return { remedies: [], memory: { ...memory, slow: 0, calm, isInVain } };
  const share = Math.min(1, memory.share * 2);
  return { remedies: set(measured, share, 'fast for long'), memory: { ...well, share } };
}

function set({ p95, target, pods }: Measured, share: number, why: string): Remedy[] {
  const said = `95 % of answers took up to ${milliseconds(p95)}, aimed at ${milliseconds(target)}`;
  return [
    { action: 'resizeBatch', pods, factor: share, reason: `${why}, ${percent(share)} of the items at once: ${said}` },
  ];
}

const milliseconds = (seconds: number): string => `${Math.round(seconds * 1000)} ms`;
