// Objects of the kinds that serve.
import { compressionService as definition, matcherPool } from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { Deployment } from '../../objects/deployment.ts';
import { noon, observed, stores } from '../testing.ts';
import type { Served } from './engines.ts';
import { servingKind } from './index.ts';
import type { Scaling } from './scaling.ts';
import { bridge, condition, live, main, named, objects, pod, resource } from './testing.ts';

describe('the objects of a service', () => {
  it('are those of the golden files', async () => {
    const full = resource({
      cache: { redis: { secretRef: { name: 'redis' } }, disk: { maxSize: '2Gi' } },
      auth: { secretRef: { name: 'tokens' } },
      model: { source: { persistentVolumeClaim: { claimName: 'models', path: 'tagger.onnx' } } },
      embedding: { source: { oci: { image: 'example.test/minilm:1', path: 'minilm' } } },
      gpu: { policy: 'Required', resourceName: 'nvidia.com/mig-1g.10gb', count: 2, runtimeClassName: 'nvidia' },
      scheduling: { spot: 'Preferred', topologySpreadConstraints: [{ topologyKey: 'topology.kubernetes.io/zone' }] },
      pod: {
        env: [
          { name: 'QUINTET_RESOURCE', value: 'ours wins' },
          { name: 'TZ', value: 'UTC' },
        ],
      },
    });
    await expect(
      objects(full)
        .map((each) => stringify(each))
        .join('---\n'),
    ).toMatchFileSnapshot('golden/service.yaml');
  });

  it('are named by engine, so that two kinds of one name do not meet', () => {
    const names = (from: typeof definition) =>
      servingKind(from, { image: 'x:1', stores })
        .desired(resource({}, from), observed())
        .objects.map(({ metadata }) => metadata.name);
    expect(new Set(names(definition))).toEqual(new Set(['news-compression', 'news-compression-stores']));
    expect(new Set(names(matcherPool as never))).toEqual(new Set(['news-matcher', 'news-matcher-stores']));
  });

  it('roll the pods when what the engine reads changes, not when the count or the autoscaler does', () => {
    const hash = (spec: Record<string, unknown>) =>
      main(resource(spec))?.spec.template.metadata.annotations?.['quintet.dev/config'];
    expect(hash({ batching: { maxSize: 8 } })).not.toBe(hash({}));
    expect(hash({ replicas: 9 })).toBe(hash({}));
    expect(hash({ autoscaling: { maxReplicas: 4 } })).toBe(hash({}));
    expect(hash({ suspend: true })).toBe(hash({}));
  });

  it('hold what runs within the bounds of an autoscaling block, until something is decided', () => {
    const scaled = resource({ autoscaling: { minReplicas: 3, maxReplicas: 8 } });
    expect(main(scaled)?.spec.replicas).toBe(3);
    expect(condition(scaled, observed(), 'ScalingActive')).toMatchObject({
      status: 'Unknown',
      reason: 'NotMeasuredYet',
    });
    expect(main(scaled, observed().with(live(main(scaled), {}, 6)))?.spec.replicas).toBe(6);
    expect(main(scaled, observed().with(live(main(scaled), {}, 60)))?.spec.replicas).toBe(8);
    const paused = resource({ suspend: true, autoscaling: { minReplicas: 3, maxReplicas: 8 } });
    expect(main(paused)?.spec.replicas).toBe(0);
    expect(main(scaled, observed().with(live(main(paused), {}, 0)))?.spec.replicas).toBe(3);
  });

  it('follow what the autoscaler decided, within bounds, and yield to another', () => {
    const said = { status: 'True', reason: 'ValidMetricFound', message: 'it follows' } as const;
    const scaled = resource({ autoscaling: { minReplicas: 2, maxReplicas: 8 } });
    const decided = (scaling: Partial<Scaling>) =>
      servingKind<Served>(definition, { image: 'x:1' }, (name, key) => {
        expect([name, key]).toEqual(['CompressionService', 'team/news']);
        return { replicas: undefined, active: said, limited: said, reason: 'x', lastScaleTime: noon, ...scaling };
      });
    const count = (scaling: Partial<Scaling>) =>
      (
        decided(scaling)
          .desired(scaled, observed().with(live(main(scaled), {}, 6)))
          .objects.find(
            ({ metadata, kind: of }) => of === 'Deployment' && metadata.name === 'news-compression',
          ) as Deployment
      ).spec.replicas;
    expect(count({ replicas: 5 })).toBe(5);
    expect(count({ replicas: 99 })).toBe(8);
    expect(count({ replicas: 0 })).toBe(2);
    expect(count({})).toBe(6);
    expect(count({ yieldsTo: { name: 'hpa', target: 'Deployment' } })).toBe(6);
    expect(count({ yieldsTo: { name: 'hpa', target: 'Resource' } })).toBe(2);
    expect(decided({ replicas: 5 }).status(scaled, observed())).toMatchObject({
      conditions: expect.arrayContaining([
        {
          type: 'ScalingActive',
          ...said,
          message: expect.stringMatching(/^it follows; spec\.replicas \(2\) is not read.*minReplicas/),
        },
      ]),
      fields: { autoscaling: { desired: 5, reason: 'x', lastScaleTime: '2026-01-01T12:00:00Z' } },
    });
  });

  it('are selected by what never changes, whatever the policy on GPUs', () => {
    const selector = (policy: string) => main(resource({ gpu: { policy } }))?.spec.selector;
    expect(selector('Required')).toEqual(selector('None'));
    const preferring = resource({ gpu: { policy: 'Preferred', fallbackAfter: '1m' } });
    const seen = observed()
      .with(live(main(preferring), {}), pod('gpu', 'NoGPU'))
      .at(60);
    expect(bridge(preferring, seen)?.spec.selector).not.toEqual(selector('None'));
  });

  it('never sleep longer before they end than the pod may take to end', () => {
    const sleep = (seconds: number) =>
      JSON.stringify(main(resource({ pod: { terminationGracePeriodSeconds: seconds } })));
    expect(sleep(2)).toContain('"sleep":{"seconds":2}');
    expect(sleep(0)).not.toContain('preStop');
  });

  it('carry the queue that admits them', () => {
    expect(main(resource({ scheduling: { queueName: 'team-a' } }))?.metadata.labels).toMatchObject({
      'kueue.x-k8s.io/queue-name': 'team-a',
    });
  });

  it('have a claim template for a device class, and the pods claim by it', () => {
    const claiming = resource({ gpu: { policy: 'Required', deviceClassName: 'gpu.example.com', count: 1 } });
    expect(named(objects(claiming), 'ResourceClaimTemplate')?.spec).toMatchObject({
      spec: { devices: { requests: [{ exactly: { deviceClassName: 'gpu.example.com', count: 1 } }] } },
    });
    expect(main(claiming)?.spec.template.spec).toMatchObject({
      resourceClaims: [{ name: 'gpu', resourceClaimTemplateName: 'news-compression' }],
    });
  });

  it('cannot be made without an image, and say which value to set', () => {
    const bare = servingKind(definition, { image: '' });
    expect(() => bare.desired(resource(), observed())).toThrow(/engines\.compression\.image/);
    const own = bare.desired(resource({ pod: { image: 'mine:1' } }), observed()).objects;
    expect(JSON.stringify(named(own, 'Deployment'))).toContain('"image":"mine:1"');
  });
});
