import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Feature } from '../data/features.ts';
import { type PredictInTurns, predictInTurns } from './turns.ts';

/** Takes long for each row, and answers twice its value. */
function slowModel(milliseconds: number) {
  const slices: number[] = [];
  const predictFeatures = async ([feature]: readonly Feature[], rows: Int32Array): Promise<Float64Array> => {
    slices.push(rows.length);
    const end = performance.now() + milliseconds * rows.length;
    while (performance.now() < end);
    return Float64Array.from(rows, (row) => 2 * feature!.values![row]!);
  };
  return { slices, model: { stored: { outputs: 1 }, predictFeatures } as unknown as Parameters<PredictInTurns>[0] };
}

const feature = (count: number, first: number): Feature => ({
  name: 'a',
  column: 'a',
  type: 'Numeric',
  kind: 'Value',
  values: Float32Array.from({ length: count }, (_, i) => first + i),
});
const forever = new AbortController().signal;

it('answers every row in its place, by ever smaller parts of a slow model, and lets others in between', async () => {
  const { model, slices } = slowModel(3);
  const predict = predictInTurns();
  let done = false;
  let others = 0;
  const watch = (async () => {
    while (!done) {
      await setImmediate();
      others++;
    }
  })();
  const answers = await Promise.all(
    [0, 1000].map((first) => predict(model, [feature(40, first)], 40, forever).then((values) => [...values])),
  );
  done = true;
  await watch;
  expect(answers).toEqual([0, 1000].map((first) => Array.from({ length: 40 }, (_, i) => 2 * (first + i))));
  expect(slices.reduce((sum, size) => sum + size)).toBe(80);
  expect(Math.min(...slices.slice(3))).toBeLessThan(16);
  expect(others).toBeGreaterThanOrEqual(slices.length - 1);
});

it('takes ever more rows at once of a quick model', async () => {
  const { model, slices } = slowModel(0);
  await predictInTurns()(model, [feature(1000, 0)], 1000, forever);
  expect(slices.length).toBeLessThan(1000 / 16);
});

it('ends where nobody waits for the answer any more, and others go on', async () => {
  const { model, slices } = slowModel(1);
  const predict = predictInTurns();
  const gone = new AbortController();
  const left = predict(model, [feature(1000, 0)], 1000, gone.signal);
  const other = predict(model, [feature(5, 0)], 5, forever);
  gone.abort(new Error('the caller has gone'));
  await expect(left).rejects.toThrow('the caller has gone');
  expect([...(await other)]).toEqual([0, 2, 4, 6, 8]);
  expect(slices).toEqual([5]);
});
