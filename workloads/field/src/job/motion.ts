// Where moving targets are in each frame: waypoints joined by a cubic spline that starts and ends at rest, circles, lines.
import {
  type FieldJobSpec,
  parseAcceleration,
  parseAngle,
  parseDuration,
  parseFrequency,
  parseLength,
} from '@quintet/crds';
import { FieldError } from '../errors.ts';
import type { Target } from '../solver/targets.ts';
import { normalOf, quantity, vector } from './scene.ts';

type Point = readonly [number, number, number];
type PathSpec = NonNullable<FieldJobSpec['motion']>['paths'][number];

export interface Motion {
  /** Hz */
  readonly frameRate: number;
  readonly frames: number;
  /** Largest change of an element from frame to frame, radians. */
  readonly maxPhaseStep: number;
  readonly paths: readonly {
    /** Index among the targets. */
    readonly target: number;
    /** x, y, z of each frame. */
    readonly positions: readonly Point[];
  }[];
  /** m/s², and the frame it is in. */
  readonly largestAcceleration: { readonly value: number; readonly frame: number };
}

interface Path {
  /** Seconds until it is at its end, or once around. */
  readonly period: number;
  at(time: number): Point;
  acceleration(time: number): number;
}

/** Elements times frames times targets: solved in about a minute, written as hundreds of megabytes. */
const mostStates = 2e7;

/** @throws FieldError `InvalidMotion` naming path and frame where it goes too fast. */
export function resolveMotion(
  motion: NonNullable<FieldJobSpec['motion']>,
  targets: readonly Target[],
  elements: number,
): Motion {
  const frameRate = quantity(parseFrequency, motion.frameRate, 'spec.motion.frameRate');
  const paths = motion.paths.map((path, i) => ({
    target: targets.findIndex(({ name }) => name === path.target),
    path: pathOf(path, targets, `spec.motion.paths[${i}]`),
  }));
  const duration =
    motion.duration === undefined
      ? Math.max(...paths.map(({ path }) => path.period))
      : quantity(parseDuration, motion.duration, 'spec.motion.duration');
  const frames = Math.floor(duration * frameRate + 1e-6) + 1;
  if (frames < 2)
    throw new FieldError('InvalidMotion', 'lasts less than a frame: raise frameRate', 'spec.motion.duration');
  if (frames * elements * targets.length > mostStates) {
    const most = Math.floor(mostStates / elements / targets.length);
    throw new FieldError(
      'InvalidMotion',
      `${frames} frames; at most ${most} for ${elements} elements and ${targets.length} targets`,
      'spec.motion.duration',
    );
  }
  const times = Array.from({ length: frames }, (_, frame) => frame / frameRate);
  const largestAcceleration = { value: 0, frame: 0 };
  for (const { path } of paths) {
    times.forEach((time, frame) => {
      const value = path.acceleration(time);
      if (value > largestAcceleration.value) Object.assign(largestAcceleration, { value, frame });
    });
  }
  if (motion.maxAcceleration !== undefined) {
    const limit = quantity(parseAcceleration, motion.maxAcceleration, 'spec.motion.maxAcceleration');
    const { value, frame } = largestAcceleration;
    if (value > limit * (1 + 1e-9)) {
      const reached = `${Number(value.toPrecision(3))} m/s2 in frame ${frame}, over ${motion.maxAcceleration}`;
      throw new FieldError('InvalidMotion', `a path asks for ${reached}: slow it down`, 'spec.motion.maxAcceleration');
    }
  }
  return {
    frameRate,
    frames,
    maxPhaseStep: quantity(parseAngle, motion.maxPhaseStep, 'spec.motion.maxPhaseStep'),
    paths: paths.map(({ target, path }) => ({ target, positions: times.map((time) => path.at(time)) })),
    largestAcceleration,
  };
}

/** The targets as they are in a frame. */
export function targetsAt({ paths }: Motion, targets: readonly Target[], frame: number): Target[] {
  return targets.map((target, i) => {
    const path = paths.find((each) => each.target === i);
    return path ? { ...target, position: path.positions[frame]! } : target;
  });
}

function pathOf(path: PathSpec, targets: readonly Target[], field: string): Path {
  if (path.circle) return circleOf(path.circle, `${field}.circle`);
  if (path.waypoints) return splineOf(path.waypoints, `${field}.waypoints`);
  const start = targets.find(({ name }) => name === path.target)?.position ?? [0, 0, 0];
  return lineOf(start, path.line, `${field}.line`);
}

function circleOf(circle: NonNullable<PathSpec['circle']>, field: string): Path {
  const center = vector(circle.center, `${field}.center`);
  const radius = quantity(parseLength, circle.radius, `${field}.radius`);
  const period = positive(circle.period, `${field}.period`);
  const normal = normalOf(circle.plane);
  const [u, v] = [0, 1, 2].filter((axis) => axis !== normal) as [number, number];
  const omega = (2 * Math.PI) / period;
  return {
    period,
    at(time) {
      const point = [...center] as [number, number, number];
      point[u]! += radius * Math.cos(omega * time);
      point[v]! += radius * Math.sin(omega * time);
      return point;
    },
    acceleration: () => radius * omega ** 2,
  };
}

function lineOf(from: Point, line: PathSpec['line'], field: string): Path {
  if (!line) throw new FieldError('InvalidMotion', 'a path needs waypoints, a circle or a line', field);
  const to = vector(line.to, `${field}.to`);
  const period = positive(line.period, `${field}.period`);
  const omega = (2 * Math.PI) / period;
  const half = Math.hypot(...to.map((value, axis) => value - from[axis]!)) / 2;
  return {
    period,
    at(time) {
      const part = (1 - Math.cos(omega * time)) / 2;
      return from.map((value, axis) => value + part * (to[axis]! - value)) as unknown as Point;
    },
    acceleration: (time) => half * omega ** 2 * Math.abs(Math.cos(omega * time)),
  };
}

function splineOf(waypoints: NonNullable<PathSpec['waypoints']>, field: string): Path {
  const times = waypoints.map(({ at }, i) => quantity(parseDuration, at, `${field}[${i}].at`));
  const points = waypoints.map(({ position }, i) => vector(position, `${field}[${i}].position`));
  const late = times.findIndex((time, i) => i > 0 && time <= times[i - 1]!);
  if (late !== -1)
    throw new FieldError('InvalidMotion', 'must be later than the waypoint before', `${field}[${late}].at`);
  const axes = [0, 1, 2].map((axis) => ({
    values: points.map((point) => point[axis]!),
    slopes: slopesOf(
      times,
      points.map((point) => point[axis]!),
    ),
  }));
  const place = (time: number): { i: number; h: number; t: number } => {
    const clamped = Math.min(Math.max(time, times[0]!), times.at(-1)!);
    const after = times.findIndex((each, i) => i > 0 && clamped <= each);
    const i = Math.max(0, after - 1);
    const h = times[i + 1]! - times[i]!;
    return { i, h, t: (clamped - times[i]!) / h };
  };
  return {
    period: times.at(-1)!,
    at(time) {
      const { i, h, t } = place(time);
      return axes.map(({ values, slopes }) => {
        const rise = values[i + 1]! - values[i]!;
        const a = h * slopes[i]! - rise;
        const b = rise - h * slopes[i + 1]!;
        return (1 - t) * values[i]! + t * values[i + 1]! + t * (1 - t) * ((1 - t) * a + t * b);
      }) as unknown as Point;
    },
    acceleration(time) {
      if (time < times[0]! || time > times.at(-1)!) return 0;
      const { i, h, t } = place(time);
      return Math.hypot(
        ...axes.map(({ values, slopes }) => {
          const rise = values[i + 1]! - values[i]!;
          const a = h * slopes[i]! - rise;
          const b = rise - h * slopes[i + 1]!;
          return (2 * (b - 2 * a + (a - b) * 3 * t)) / h ** 2;
        }),
      );
    },
  };
}

/**
 * Slopes of the cubic spline through the points whose second derivative is continuous, at rest at both ends: a
 * tridiagonal system. (de Boor, "A Practical Guide to Splines", ch. IV.)
 */
function slopesOf(times: readonly number[], values: readonly number[]): number[] {
  const n = times.length;
  const slopes = new Array<number>(n).fill(0);
  const upper = new Array<number>(n).fill(0);
  for (let i = 1; i < n - 1; i++) {
    const before = 1 / (times[i]! - times[i - 1]!);
    const after = 1 / (times[i + 1]! - times[i]!);
    const right =
      3 * ((values[i]! - values[i - 1]!) * before ** 2 + (values[i + 1]! - values[i]!) * after ** 2) -
      before * slopes[i - 1]!;
    const pivot = 2 * (before + after) - before * upper[i - 1]!;
    upper[i] = after / pivot;
    slopes[i] = right / pivot;
  }
  for (let i = n - 2; i >= 1; i--) slopes[i]! -= upper[i]! * slopes[i + 1]!;
  return slopes;
}

function positive(duration: string, field: string): number {
  const seconds = quantity(parseDuration, duration, field);
  if (seconds > 0) return seconds;
  throw new FieldError('InvalidMotion', 'must be longer than nothing', field);
}
