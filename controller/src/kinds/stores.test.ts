// Which stores of the installation a resource is given, which part of them is its own, and what it is told where there is none.

import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../kube/types.ts';
import { types } from '../objects/types.ts';
import { requireStores, storesOf, storeTypes } from './stores.ts';
import { stores } from './testing.ts';

function resource(kind: string, spec: object = {}, name = 'one', namespace = 'team-a'): KubeObject & { spec: object } {
  return { apiVersion: 'quintet.dev/v1alpha1', kind, metadata: { name, namespace, uid: 'uid-1' }, spec };
}

/** The addresses, as pods read them. */
function given(one: KubeObject & { spec: object }, from: object = stores): Record<string, string> {
  const { secrets, variables } = storesOf(one, 'one-engine', from);
  return Object.fromEntries(
    variables.map(({ name, secretKeyRef }) => {
      const secret = secrets.find(({ metadata }) => metadata.name === secretKeyRef?.name);
      return [name, Buffer.from(secret?.data[secretKeyRef?.key ?? ''] ?? '', 'base64').toString()];
    }),
  );
}

const schemaIn = (url: string | undefined) => new URL(url ?? '').searchParams.get('options');

describe('the stores of a resource that names none', () => {
  it('come in a Secret that it owns, under the variables that engines read', () => {
    const { secrets } = storesOf(resource('MatcherPool'), 'one-matcher', stores);
    expect(secrets).toMatchObject([
      {
        kind: 'Secret',
        metadata: { name: 'one-matcher-stores', namespace: 'team-a', ownerReferences: [{ uid: 'uid-1' }] },
      },
    ]);
    expect(Object.keys(given(resource('MatcherPool')))).toEqual(['QUINTET_REDIS_URL', 'QUINTET_POSTGRES_URL']);
  });

  it('keep the keys of two resources apart in Redis, whatever the engine calls them', () => {
    const prefix = (one: KubeObject & { spec: object }) =>
      new URL(given(one)['QUINTET_REDIS_URL'] ?? '').searchParams.get('keyPrefix');
    expect(prefix(resource('CompressionService'))).toBe('CompressionService/team-a/one:');
    expect(prefix(resource('CompressionService', {}, 'one', 'team-b'))).toBe('CompressionService/team-b/one:');
  });

  it('give each pool a schema of its own, and the runs of one namespace one together', () => {
    const pool = (name: string, namespace: string) =>
      schemaIn(given(resource('MatcherPool', {}, name, namespace))['QUINTET_POSTGRES_URL']);
    const run = (name: string, namespace: string) =>
      schemaIn(given(resource('EvolutionRun', {}, name, namespace))['QUINTET_POSTGRES_URL']);
    expect(pool('one', 'team-a')).toMatch(/^-c search_path=matcherpool_team_a_one_[0-9a-f]{8}$/);
    expect(new Set([pool('a', 'b-c'), pool('c', 'b-a'), pool('a-b', 'c'), pool('b', 'c-a')]).size).toBe(4);
    expect(run('one', 'team-a')).toBe(run('two', 'team-a'));
    expect(run('one', 'team-a')).not.toBe(run('one', 'team-b'));
  });

  it('have a schema that PostgreSQL takes, however long the names are', () => {
    const url = given(resource('MatcherPool', {}, 'n'.repeat(253), 's'.repeat(63)))['QUINTET_POSTGRES_URL'];
    expect(url).not.toContain('+');
    expect(schemaIn(url)?.replace('-c search_path=', '')).toMatch(/^[a-z0-9_]{1,63}$/);
  });

  it('give a CopyEngine PostgreSQL for its ledger, and only where it has budgets', () => {
    const prices = [{ name: 'copy', inputPerMillion: '1', outputPerMillion: '2' }];
    const budgets = { prices };
    expect(Object.keys(given(resource('CopyEngine')))).toEqual(['QUINTET_REDIS_URL']);
    const url = given(resource('CopyEngine', { budgets }))['QUINTET_POSTGRES_URL'];
    expect(schemaIn(url)).toMatch(/^-c search_path=copyengine_team_a_one_[0-9a-f]{8}$/);
    const own = { ...budgets, postgres: { secretRef: { name: 'mine' } } };
    expect(Object.keys(given(resource('CopyEngine', { budgets: own })))).toEqual(['QUINTET_REDIS_URL']);
    expect(() => requireStores(resource('CopyEngine', { budgets }), {})).not.toThrow();
  });

  it('roll its pods when an address changes', () => {
    const mark = (from: object) => storesOf(resource('MatcherPool'), 'one-matcher', from).mark;
    expect(mark(stores)).not.toBe(mark({ ...stores, postgres: 'postgres://us:another@postgres.test/all' }));
  });
});

describe('a store that the resource names itself', () => {
  it('is not given', () => {
    const spec = { index: { postgres: { secretRef: { name: 'mine' } } } };
    expect(Object.keys(given(resource('MatcherPool', spec)))).toEqual(['QUINTET_REDIS_URL']);
    expect(() => requireStores(resource('MatcherPool', spec))).not.toThrow();
  });

  it('may be a variable of its pods', () => {
    const spec = { pod: { env: [{ name: 'QUINTET_POSTGRES_URL', secretKeyRef: { name: 'mine', key: 'url' } }] } };
    expect(Object.keys(given(resource('MatcherPool', spec)))).toEqual(['QUINTET_REDIS_URL']);
  });
});

describe('an installation without stores', () => {
  it('has no right on Secrets', () => {
    expect(storeTypes({})).toEqual([]);
    expect(storeTypes({ redis: stores.redis })).toEqual([types.secret]);
  });

  it.each([
    ['MatcherPool', stores.redis, /no PostgreSQL; set spec\.index\.postgres\.secretRef/],
    ['EvolutionRun', undefined, /no Redis; set spec\.queue\.redis\.secretRef/],
  ])('tells a %s what it lacks', (kind, redis, says) => {
    expect(() => requireStores(resource(kind), redis === undefined ? {} : { redis })).toThrow(says);
  });

  it('lets serve what only keeps its cache there', () => {
    expect(() => requireStores(resource('CompressionService'))).not.toThrow();
    expect(storesOf(resource('CompressionService'), 'one-compression')).toMatchObject({ secrets: [], variables: [] });
  });
});
