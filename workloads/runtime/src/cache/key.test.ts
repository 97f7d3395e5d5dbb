import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cacheKey, tenantOf } from './key.ts';

const name = fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' });
const parts = fc.record({ tenant: name, kind: name, version: fc.string(), input: fc.jsonValue() });

describe('a cache key', () => {
  test('differs whenever tenant, kind, version or input differ, however they are spelled', () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const same =
          a.tenant === b.tenant &&
          a.kind === b.kind &&
          a.version === b.version &&
          canonical(a.input) === canonical(b.input);
        expect(cacheKey(a) === cacheKey(b)).toBe(same);
      }),
    );
  });

  test('never is the same for two tenants, whatever else is equal', () => {
    fc.assert(
      fc.property(parts, name, (a, tenant) => {
        fc.pre(tenant !== a.tenant);
        expect(cacheKey({ ...a, tenant })).not.toBe(cacheKey(a));
        expect(tenantOf(cacheKey(a))).toBe(a.tenant);
      }),
    );
  });

  test('is the same for objects whose members come in another order, and for undefined members left out', () => {
    const key = (input: unknown) => cacheKey({ tenant: 't', kind: 'k', version: '1', input });
    expect(key({ a: 1, b: [2, { c: 3, d: undefined }] })).toBe(key({ b: [2, { c: 3 }], a: 1 }));
  });

  test.each([
    ['1 and "1"', 1, '1'],
    ['null and undefined', null, undefined],
    ['a list and the object of its members', ['a'], { 0: 'a' }],
    ['nested and flat lists', [['a'], 'b'], ['a', ['b']]],
    ['lone surrogates', '\ud800', '\ud801'],
    ['bytes and their list', new Uint8Array([1, 2]), [1, 2]],
    ['0 and -0', 0, -0],
  ])('tells apart %s', (_what, a, b) => {
    const key = (input: unknown) => cacheKey({ tenant: 't', kind: 'k', version: '1', input });
    expect(key(a)).not.toBe(key(b));
  });

  test('refuses an empty tenant and inputs that have no value of their own', () => {
    expect(() => cacheKey({ tenant: '', kind: 'k', version: '1', input: 1 })).toThrow('needs a tenant');
    expect(() => cacheKey({ tenant: 't', kind: 'k', version: '1', input: () => 1 })).toThrow('cannot hold a function');
    expect(() => cacheKey({ tenant: 't', kind: 'k', version: '1', input: new Map() })).toThrow('cannot hold a Map');
  });
});

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(',')}}`;
  }
  return Object.is(value, -0) ? '-0' : JSON.stringify(value);
}
