import { expect, it } from 'vitest';
import { type FeatureSpec, featuresOfRows } from '../data/features.ts';
import { modelOf } from '../run/model.ts';
import { driftMeter } from './drift.ts';
import type { ServedModel } from './models.ts';

const specs: FeatureSpec[] = [
  { name: 'load', column: 'load', type: 'Numeric', kind: 'Value' },
  { name: 'site', column: 'site', type: 'Categorical', kind: 'Category', levels: ['north', 'south'] },
];
const model = modelOf({
  format: 'quintet-model/1',
  task: 'Regression',
  target: 'y',
  classes: [],
  outputs: 1,
  metric: 'RMSE',
  features: specs,
  statistics: [
    { name: 'load', missing: 0, cuts: [10], shares: [0.5, 0.5] },
    { name: 'site', missing: 0, codes: [0, 1], shares: [0.5, 0.5, 0] },
  ],
  members: [],
});
const served = (modelId: string, role: ServedModel['role'] = 'Champion'): ServedModel => ({ modelId, role, model });
const rows = (count: number, load: number) =>
  featuresOfRows(
    specs,
    Array.from({ length: count }, (_, i) => ({ load: i % 2 ? load : 0, site: i % 2 ? 'north' : 'south' })),
    () => undefined,
  );
const indexOf = (meter: ReturnType<typeof driftMeter>, name: string) =>
  meter.read().find(({ feature }) => feature === name)?.index;

it('is silent until there are rows enough', () => {
  const meter = driftMeter();
  meter.see(served('m1'), rows(198, 20));
  expect(meter.read()).toEqual([]);
  meter.see(served('m1'), rows(2, 20));
  expect(meter.read()).toMatchObject([{ index: 0 }, { index: 0 }]);
});

it('looks at the latest thousand rows alone, however they come', () => {
  const meter = driftMeter();
  meter.see(served('m1'), rows(700, 0));
  expect(indexOf(meter, 'load')).toBeGreaterThan(1);
  for (let i = 0; i < 5; i++) meter.see(served('m1'), rows(300, 20));
  expect(indexOf(meter, 'load')).toBe(0);
  expect(indexOf(meter, 'site')).toBe(0);
});

it('begins anew with another champion, and passes over challengers', () => {
  const meter = driftMeter();
  meter.see(served('m1'), rows(500, 0));
  meter.see(served('m2', 'Challenger'), rows(500, 20));
  expect(indexOf(meter, 'load')).toBeGreaterThan(1);
  meter.see(served('m2'), rows(100, 20));
  expect(meter.read()).toEqual([]);
});

it('holds a number and a code of each row, whatever a request was filled with', () => {
  const meter = driftMeter();
  let kept = 0;
  const watched = { ...model, drift: (features: Parameters<typeof model.drift>[0]) => ((kept = sizeOf(features)), []) };
  const junk = { load: 'x'.repeat(10_000), site: 'y'.repeat(10_000), other: 'z'.repeat(10_000) };
  const features = featuresOfRows(
    specs,
    Array.from({ length: 1000 }, () => junk),
    () => undefined,
  );
  for (let i = 0; i < 5; i++) meter.see({ ...served('m1'), model: watched }, features);
  meter.read();
  expect(kept).toBe(2 * 4 * 1000);
  expect(JSON.stringify(features)).not.toContain('yyy');
});

function sizeOf(features: Parameters<typeof model.drift>[0]): number {
  return features.reduce((sum, { codes, values }) => sum + (codes ?? values!).byteLength, 0);
}
