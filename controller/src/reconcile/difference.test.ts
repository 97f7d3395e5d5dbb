import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { differences } from './difference.ts';

test('a document differs in nothing from itself, nor when others add fields', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(differences(structuredClone(value), value)).toBeUndefined();
    }),
  );
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.dictionary(fc.string(), fc.jsonValue()),
      (ours, others) => {
        expect(differences({ ...others, ...ours }, ours)).toBeUndefined();
      },
    ),
  );
});

test('a value changed at any depth is found', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('spec', 'template', 'data', 'a', 'b'), { minLength: 1, maxLength: 6 }),
      (path) => {
        const build = (leaf: unknown): unknown => path.reduceRight<unknown>((inner, name) => ({ [name]: inner }), leaf);
        expect(differences(build('other'), build('mine'))).toEqual([path.map((name) => `.${name}`).join('')]);
      },
    ),
  );
});

describe('as the API server rewrites it', () => {
  const cases: Record<string, { live: unknown; desired: unknown; wantPaths?: string[] }> = {
    'an empty list, map or string that the server dropped is no difference': {
      live: { spec: {} },
      desired: { spec: { env: [], selector: {}, name: '', gone: null } },
    },
    'false that is missing is one: the default may be true': {
      live: { spec: {} },
      desired: { spec: { automountServiceAccountToken: false } },
      wantPaths: ['.spec.automountServiceAccountToken'],
    },
    'quantities are compared as numbers': {
      live: { requests: { cpu: '100m', memory: '1Gi' }, limits: { cpu: '2' }, emptyDir: { sizeLimit: '1Ki' } },
      desired: { requests: { cpu: '0.1', memory: '1024Mi' }, limits: { cpu: 2 }, emptyDir: { sizeLimit: '1024' } },
    },
    'a quantity that differs is found': {
      live: { resources: { requests: { memory: '1Gi' } } },
      desired: { resources: { requests: { memory: '1G' } } },
      wantPaths: ['.resources.requests.memory'],
    },
    'elsewhere strings are strings': {
      live: { data: { a: '1000m' } },
      desired: { data: { a: '1' } },
      wantPaths: ['.data.a'],
    },
    'an injected sidecar and variable are no difference, in whatever order': {
      live: { containers: [{ name: 'sidecar' }, { name: 'main', env: [{ name: 'X', value: '1' }, { name: 'MORE' }] }] },
      desired: { containers: [{ name: 'main', env: [{ name: 'X', value: '1' }] }] },
    },
    'a container whose image changed is found': {
      live: { containers: [{ name: 'main', image: 'other' }] },
      desired: { containers: [{ name: 'main', image: 'ours' }] },
      wantPaths: ['.containers[0].image'],
    },
    'arguments are a list in which nobody may add': {
      live: { args: ['a', 'b'] },
      desired: { args: ['a'] },
      wantPaths: ['.args'],
    },
    "somebody else's owner reference may stand beside ours": {
      live: {
        ownerReferences: [
          { uid: '1', name: 'x' },
          { uid: '2', name: 'y' },
        ],
      },
      desired: { ownerReferences: [{ uid: '2', name: 'y' }] },
    },
    'another type is a difference': { live: { a: [] }, desired: { a: { b: 1 } }, wantPaths: ['.a'] },
  };
  test.each(Object.entries(cases))('%s', (_name, { live, desired, wantPaths }) => {
    expect(differences(live, desired)).toEqual(wantPaths);
  });
});
