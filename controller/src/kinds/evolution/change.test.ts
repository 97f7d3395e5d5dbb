import type { EvolutionRun } from '@quintet/crds';
import { describe, expect, it } from 'vitest';
import { type ObservedBuilder, observed } from '../testing.ts';
import { coordinator, done, kind, names, resource } from './testing.ts';

describe('an EvolutionRun whose spec changes', () => {
  const revision = (spec: Record<string, unknown>) => kind.status(resource(spec), observed()).fields.revision;
  it.each([
    ['its life', { activeDeadline: '9h', ttlAfterFinished: '1h', suspend: true, retries: 1 }],
    ['its workers', { workers: { min: 1, max: 9 } }],
    ['its pods', { resources: { limits: { memory: '8Gi' } }, pod: { labels: { a: 'b' } } }],
    ['their place', { scheduling: { nodeSelector: { disk: 'fast' } } }],
    ['its caches', { caches: { evaluation: '1h' } }],
    ['its queue', { queue: { redis: { secretRef: { name: 'r' } } } }],
    ['its registry', { registry: { postgres: { secretRef: { name: 'p' } } } }],
  ])('does not start over for %s', (_, spec) => expect(revision(spec)).toBe(revision({})));

  it.each([
    ['replicas', { replicas: 3 }],
    ['drift', { drift: 'Disabled' }],
    ['tokens', { auth: { secretRef: { name: 'tokens' } } }],
  ])('does not start over for %s of predictions', (_, serving) => {
    const promoting = (more: object) => ({ promotion: { mode: 'Champion', serving: more } });
    expect(revision(promoting(serving))).toBe(revision(promoting({})));
    expect(coordinator(resource(promoting(serving)))).toEqual(coordinator(resource(promoting({}))));
  });

  it.each([
    ['another seed', { search: { seed: 8 } }],
    ['a longer budget', { budget: { time: '1h' } }],
    ['a promotion', { promotion: { mode: 'Champion' } }],
    ['a place for files', { output: { volumeClaimTemplate: {} } }],
  ])('has its coordinator look again for %s', (_, spec) => expect(revision(spec)).not.toBe(revision({})));

  /** Ended by an earlier spec, as the status has it. */
  const endedBefore = (seen: ObservedBuilder, spec: Record<string, unknown>) => {
    const { fields, conditions } = kind.status(resource(), seen);
    const lastTransitionTime = '2026-01-01T12:00:00Z';
    const stored = conditions.map((each) => ({ ...each, observedGeneration: 1, lastTransitionTime }));
    const later = resource(spec, { ...fields, conditions: stored, observedGeneration: 1 });
    return { ...later, metadata: { ...later.metadata, generation: 2 } } as EvolutionRun;
  };
  const refused = () => {
    const error = { reason: 'DataTooLarge', message: 'the table takes 3 GiB', field: 'spec.resources.limits.memory' };
    return observed()
      .withJob(coordinator(resource()), 'Failed')
      .withPod(coordinator(resource()), { exitCode: 78, message: { step: 'coordinator', error } });
  };
  const memory = { resources: { limits: { memory: '8Gi' } } };

  it('stays what it is with other pods once it has succeeded', () => {
    const later = endedBefore(done(resource()), memory);
    expect(kind.status(later, observed()).fields).toMatchObject({ phase: 'Succeeded', best: { score: '0.93' } });
    expect(names(kind.desired(later, observed()).objects)).not.toContain('Job/churn-evolution');
  });

  it('leaves the Job of what has succeeded, and its log, until its time is over', () => {
    const seen = done(resource());
    const { objects, left = [] } = kind.desired(endedBefore(seen, memory), seen);
    expect(names(objects)).not.toContain('Job/churn-evolution');
    expect(names(left)).toEqual(['Job/churn-evolution']);
    const briefly = endedBefore(seen, { ...memory, ttlAfterFinished: '1h' });
    expect(kind.desired(briefly, seen).left).toEqual(left);
    expect(kind.desired(briefly, seen.at(3600)).left).toBeUndefined();
    // Another search is another Job.
    const other = kind.desired(endedBefore(seen, { search: { seed: 8 } }), seen);
    expect(names(other.objects)).toContain('Job/churn-evolution');
    expect(other.left).toBeUndefined();
  });

  it.each([
    ['is tried again with other pods where it has failed', memory, 'Pending'],
    ['stays Failed when only its life is another', { ttlAfterFinished: '1h' }, 'Failed'],
  ])('%s', (_, spec, phase) => {
    const later = endedBefore(refused(), spec);
    expect(kind.status(later, refused()).fields['phase']).toBe(phase);
    const again = kind.status(later, observed()).fields['phase'];
    expect(again).toBe(phase);
  });
});
