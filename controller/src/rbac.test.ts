import { describe, expect, it } from 'vitest';
import type { ResourceType } from './kube/types.ts';
import { controllerRules, type Declared, editorRules, leaderElectionRules, viewerRules } from './rbac.ts';

const type = (group: string, plural: string): ResourceType => ({
  group,
  version: 'v1',
  plural,
  kind: plural,
  namespaced: true,
});
const kite: Declared = {
  type: type('quintet.dev', 'kites'),
  children: [type('batch', 'jobs'), type('', 'configmaps')],
  observes: [type('', 'pods')],
  extraRules: [],
};

const verbsOn = (group: string, resource: string, kinds = [kite]) =>
  controllerRules(kinds)
    .filter((rule) => rule.apiGroups.includes(group) && rule.resources.includes(resource))
    .flatMap(({ verbs }) => verbs);

describe('rights of the controller', () => {
  it('reads its kinds and writes nothing of them but their status', () => {
    expect(verbsOn('quintet.dev', 'kites')).toEqual(['list', 'watch']);
    expect(verbsOn('quintet.dev', 'kites/status')).toEqual(['patch']);
    expect(verbsOn('quintet.dev', 'kites/finalizers')).toEqual(['update']);
  });

  it('applies and deletes children, and only reads what it observes', () => {
    expect(verbsOn('batch', 'jobs')).toEqual(['get', 'list', 'watch', 'create', 'patch', 'delete']);
    expect(verbsOn('', 'configmaps')).toEqual(['get', 'list', 'watch', 'create', 'patch', 'delete']);
    expect(verbsOn('', 'pods')).toEqual(['list', 'watch']);
  });

  it('has no rights on secrets and no wildcard', () => {
    expect(verbsOn('', 'secrets')).toEqual([]);
    expect(JSON.stringify(controllerRules([kite]))).not.toContain('*');
  });

  it('reads of Events only what is listed when a volume cannot be mounted', () => {
    expect(verbsOn('', 'events')).toEqual(['list']);
    expect(verbsOn('events.k8s.io', 'events')).toEqual(['create', 'patch']);
  });

  it('unites the rights of two kinds on one type, extra rules with them', () => {
    const crate: Declared = {
      type: type('quintet.dev', 'crates'),
      children: [],
      observes: [type('batch', 'jobs')],
      extraRules: [{ apiGroups: [''], resources: ['pods'], verbs: ['delete'] }],
    };
    expect(verbsOn('batch', 'jobs', [kite, crate])).toEqual(['get', 'list', 'watch', 'create', 'patch', 'delete']);
    expect(verbsOn('', 'pods', [kite, crate])).toEqual(['list', 'watch', 'delete']);
  });

  it('only follows what others make for a child', () => {
    const queued: Declared = { ...kite, dependents: [type('kueue.x-k8s.io', 'workloads')] };
    expect(verbsOn('kueue.x-k8s.io', 'workloads', [queued])).toEqual(['list', 'watch']);
  });

  it('is the same whatever the order of the kinds', () => {
    const crate: Declared = { ...kite, type: type('quintet.dev', 'crates') };
    expect(controllerRules([kite, crate])).toEqual(controllerRules([crate, kite]));
  });

  it('touches no Lease but its own', () => {
    const named = leaderElectionRules('lease-name').filter(({ verbs }) => !verbs.includes('create'));
    expect(named).toEqual([
      {
        apiGroups: ['coordination.k8s.io'],
        resources: ['leases'],
        resourceNames: ['lease-name'],
        verbs: ['get', 'update'],
      },
    ]);
  });
});

describe('rights of users', () => {
  const types = [
    { group: 'quintet.dev', plural: 'kites', scale: {} },
    { group: 'quintet.dev', plural: 'crates' },
  ];

  it('lets viewers read', () => {
    expect(viewerRules(types)).toEqual([
      { apiGroups: ['quintet.dev'], resources: ['crates', 'kites'], verbs: ['get', 'list', 'watch'] },
      { apiGroups: ['quintet.dev'], resources: ['crates/status', 'kites/status'], verbs: ['get'] },
    ]);
  });

  it('lets editors write and scale, but not write status', () => {
    const rules = editorRules(types);
    expect(rules.flatMap(({ resources }) => resources)).toEqual(['crates', 'kites', 'kites/scale']);
  });
});
