import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import type { Scaling } from '../kinds/serving/scaling.ts';
import { createScalingMetrics } from './metrics.ts';

const labels = { kind: 'CompressionService', namespace: 'team', name: 'notes' };
const held = { status: 'True', reason: 'ValidMetricFound', message: '' } as const;
const scaling = (replicas: number | undefined): Scaling => ({
  replicas,
  active: held,
  limited: held,
  reason: '',
  lastScaleTime: undefined,
});

describe('the metrics of the autoscaler', () => {
  it('tell nothing that is not known any more: no forecast, no ratio, no count of ours', async () => {
    const registry = new Registry();
    const metrics = createScalingMetrics(registry);
    const told = async () =>
      (await registry.metrics())
        .split('\n')
        .filter((line) => line.includes('name="notes"'))
        .map((line) => line.replace(/^quintet_autoscaling_(\w+)\{.*\}/, '$1'));
    const forecast = { replicas: 4, error: 0.1, isFollowed: true };
    metrics.note(labels, { scaling: scaling(3), by: 0, ratios: new Map([['CPU', 0.5]]), forecast });
    expect(await told()).toEqual([
      'desired_replicas 3',
      'metric_ratio 0.5',
      'forecast_replicas 4',
      'forecast_error_ratio 0.1',
      'forecast_followed 1',
    ]);
    const nothing = { by: 0, ratios: new Map(), forecast: undefined };
    metrics.note(labels, { scaling: scaling(0), ...nothing });
    expect(await told()).toEqual(['desired_replicas 0']);
    metrics.note(labels, { scaling: scaling(undefined), ...nothing });
    expect(await told()).toEqual([]);
  });
});
