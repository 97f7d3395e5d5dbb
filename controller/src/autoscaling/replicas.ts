// From one metric to a count of pods, as the HorizontalPodAutoscaler's replica calculator does it:
// kubernetes/pkg/controller/podautoscaler/replica_calculator.go.

/** What is known of one pod of the target. */
export interface PodSample {
  ready: boolean;
  /** Undefined: the pod could not be asked, or what it said makes no sense. */
  value: number | undefined;
}

export type Reading =
  /** Summed up over pods, held against a target for each. */
  | { of: 'Pods'; target: number; pods: readonly PodSample[] }
  /** One figure of the whole, which more pods bring down. */
  | { of: 'Whole'; target: number; value: number | undefined; readyPods: number };

export interface Tolerance {
  up: number;
  down: number;
}

export interface Proposal {
  replicas: number;
  /** Average over pods, or the figure of the whole. */
  value: number;
}

/** @returns undefined where nothing usable was measured: then nobody knows, and nothing is shrunk. */
export function replicasFor(reading: Reading, current: number, tolerance: Tolerance): Proposal | undefined {
  if (!isPositive(reading.target)) return undefined;
  return reading.of === 'Whole' ? forWhole(reading, current, tolerance) : forPods(reading, current, tolerance);
}

function forWhole(
  { value, target, readyPods }: Reading & { of: 'Whole' },
  current: number,
  tolerance: Tolerance,
): Proposal | undefined {
  if (!isMeasured(value)) return undefined;
  const ratio = value / target;
  if (isWithin(ratio, tolerance)) return { replicas: current, value };
  return { replicas: bounded(ratio * Math.max(1, readyPods)), value };
}

function forPods(
  { pods, target }: Reading & { of: 'Pods' },
  current: number,
  tolerance: Tolerance,
): Proposal | undefined {
  const measured = pods.filter(({ ready, value }) => ready && isMeasured(value)).map(({ value }) => value ?? 0);
  const unready = pods.filter(({ ready }) => !ready).length;
  const missing = pods.filter(({ ready, value }) => ready && !isMeasured(value)).length;
  if (measured.length === 0) return undefined;
  const sum = measured.reduce((total, each) => total + each, 0);
  const value = sum / measured.length;
  const ratio = value / target;
  const growsBesideUnready = unready > 0 && ratio > 1;
  if (missing === 0 && !growsBesideUnready) {
    return { replicas: isWithin(ratio, tolerance) ? current : bounded(ratio * measured.length), value };
  }
  // Who is not heard counts against the change: as idle before growing, as fully used before shrinking.
  const assumed = ratio < 1 ? missing * target : 0;
  const counted = measured.length + missing + (growsBesideUnready ? unready : 0);
  const newRatio = (sum + assumed) / counted / target;
  const turned = (ratio < 1 && newRatio > 1) || (ratio > 1 && newRatio < 1);
  if (turned || isWithin(newRatio, tolerance)) return { replicas: current, value };
  const replicas = bounded(newRatio * counted);
  const backwards = (newRatio < 1 && replicas > current) || (newRatio > 1 && replicas < current);
  return { replicas: backwards ? current : replicas, value };
}

const isPositive = (value: number): boolean => Number.isFinite(value) && value > 0;
const isMeasured = (value: number | undefined): value is number =>
  value !== undefined && Number.isFinite(value) && value >= 0;
const isWithin = (ratio: number, { up, down }: Tolerance): boolean => ratio >= 1 - down && ratio <= 1 + up;
/** Rounding errors of a product must not ask for one pod more: 1.1 × 10 is 11. */
const bounded = (replicas: number): number => Math.min(1_000_000, Math.ceil(Number(replicas.toFixed(9))));
