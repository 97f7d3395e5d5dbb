// Predictions of many rows, a few at a time: one request after the other has its turn, and between two turns the pod answers probes.
import { setImmediate } from 'node:timers/promises';
import type { Feature } from '../data/features.ts';
import { type Model, requireFinite } from '../run/model.ts';

/** Milliseconds of a turn. */
const turn = 10;
const rowsAtFirst = 16;

export type PredictInTurns = (
  model: Pick<Model, 'stored' | 'predictFeatures'>,
  features: readonly Feature[],
  rows: number,
  signal: AbortSignal,
) => Promise<Float64Array>;

/** For all requests of a process. */
export function predictInTurns(): PredictInTurns {
  const inTurn = oneAtATime();
  /** Rows of a model that fill about a turn. */
  const sizes = new WeakMap<object, number>();
  return async (model, features, rows, signal) => {
    const { outputs } = model.stored;
    const values = new Float64Array(rows * outputs);
    let start = 0;
    while (start < rows) {
      await inTurn(async () => {
        signal.throwIfAborted();
        const size = sizes.get(model) ?? rowsAtFirst;
        const part = Int32Array.from({ length: Math.min(size, rows - start) }, (_, i) => start + i);
        const began = performance.now();
        const some = await model.predictFeatures(features, part);
        requireFinite(some, outputs, start);
        values.set(some, start * outputs);
        sizes.set(model, nextSize(size, part.length, performance.now() - began));
        start += part.length;
      });
    }
    return values;
  };
}

function nextSize(size: number, done: number, took: number): number {
  if (took > turn) return Math.max(1, Math.floor(size / 2));
  return done === size && took < turn / 2 ? 2 * size : size;
}

/** First come, first served; who waits again for more stands behind all others. */
function oneAtATime(): (work: () => Promise<void>) => Promise<void> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const done = last.then(work);
    last = done.catch(() => undefined).then(() => setImmediate());
    return done;
  };
}
