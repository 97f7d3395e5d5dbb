// Stored resources: written by an older or newer version of the schema, still read.
import { assert, jsonValue, property } from 'fast-check';
import { expect, test } from 'vitest';
import { kinds } from './kinds.ts';
import { InvalidResourceError, parseStored, validate } from './parse.ts';
import { apiVersion } from './v1alpha1/definition.ts';
import { fieldJob } from './v1alpha1/fieldjob.ts';
import { fixtures } from './v1alpha1/fixtures/index.ts';

const spec = fixtures.FieldJob['the shortest job takes defaults for everything else']?.spec as Record<string, unknown>;
const stored = (more: Record<string, unknown>, status?: unknown) => ({
  apiVersion,
  kind: 'FieldJob',
  metadata: { name: 'bead', namespace: 'lab', uid: 'u', generation: 3 },
  spec: { ...spec, ...more },
  ...(status !== undefined && { status }),
});

test('fields of a newer schema are dropped at every depth', () => {
  const job = parseStored(fieldJob, stored({ hologram: true, array: { grid: { tilt: '3deg' } } }));
  expect(job.spec).not.toHaveProperty('hologram');
  expect(job.spec.array.grid).toEqual({ rows: 16, columns: 16, pitch: '10.5mm' });
});

test('fields that an older schema had not take their defaults', () => {
  const job = parseStored(fieldJob, stored({ gpu: { policy: 'Required' } }));
  expect(job.spec.gpu).toEqual({ policy: 'Required', count: 1, fallbackAfter: '2m' });
  expect(job.spec.solver.algorithm).toBe('WeightedGS');
});

test('metadata stays as it is', () => {
  expect(parseStored(fieldJob, stored({})).metadata).toEqual({
    name: 'bead',
    namespace: 'lab',
    uid: 'u',
    generation: 3,
  });
});

test('a status that cannot be read loses only what is at fault', () => {
  const job = parseStored(fieldJob, stored({}, { phase: 'Levitating', progress: { done: 3, spin: 1 } }));
  expect(job.status).toEqual({ progress: { done: 3 } });
});

test('a spec that cannot be understood is an error that names the field', () => {
  expect(() => parseStored(fieldJob, stored({ mode: 'Dream' }))).toThrow(InvalidResourceError);
  expect(() => parseStored(fieldJob, stored({ mode: 'Dream' }))).toThrow(
    'spec.mode: is not a value of this field; use one of Batch, Service',
  );
});

test('what is no resource is an error', () => {
  for (const object of [undefined, null, 7, [], {}, { metadata: {} }]) {
    expect(() => parseStored(fieldJob, object)).toThrow('metadata.name: is required');
    expect(validate(fieldJob, object).issues).not.toEqual([]);
  }
});

test('nothing that JSON can say makes validation throw', () => {
  assert(
    property(jsonValue(), (anything) => {
      for (const definition of kinds) {
        const { issues = [] } = validate(definition, {
          apiVersion,
          kind: definition.kind,
          metadata: { name: 'a' },
          spec: anything,
        });
        expect(issues.every(({ message }) => message !== '')).toBe(true);
        expect(() => validate(definition, anything)).not.toThrow();
      }
    }),
    { numRuns: 50 },
  );
});

test('a spec nested a hundred thousand deep is refused, not followed', () => {
  let deep: Record<string, unknown> = {};
  for (let level = 0; level < 100_000; level++) deep = { deep };
  const { issues } = validate(fieldJob, { apiVersion, kind: 'FieldJob', metadata: { name: 'a' }, spec: deep });
  expect(issues?.map(({ path }) => path.join('.'))).toContain('spec.deep');
});
