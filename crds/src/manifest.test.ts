// The generated files: small, bounded, the same everywhere, and as committed.
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { drift } from './generate.ts';
import { kinds } from './kinds.ts';
import { manifestOf, manifestText } from './manifest.ts';
import { type StructuralSchema, structuralSchema } from './openapi.ts';

/** Every schema below this one, with its path. */
function* walk(schema: StructuralSchema, path = ''): Generator<[string, StructuralSchema]> {
  yield [path, schema];
  for (const [key, member] of Object.entries(schema.properties ?? {})) yield* walk(member, `${path}.${key}`);
  if (schema.items !== undefined) yield* walk(schema.items, `${path}[]`);
  if (schema.additionalProperties !== undefined) yield* walk(schema.additionalProperties, `${path}{}`);
}

test('the committed files are as generated', () => {
  expect(drift()).toEqual([]);
});

test('no two kinds share a name, nor take one of Kubernetes itself', () => {
  const names = kinds.flatMap(({ plural, singular, shortNames }) => [plural, singular, ...shortNames]);
  expect(new Set(names).size).toBe(names.length);
  const taken = [
    'cm',
    'cs',
    'ep',
    'ev',
    'limits',
    'ns',
    'no',
    'pvc',
    'pv',
    'po',
    'rc',
    'quota',
    'sa',
    'svc',
    'crd',
    'cr',
    'ds',
    'deploy',
    'rs',
    'sts',
    'hpa',
    'cj',
    'csr',
    'ing',
    'netpol',
    'pdb',
    'pc',
    'sc',
  ];
  expect(names.filter((name) => taken.includes(name))).toEqual([]);
});

describe.each(kinds.map((definition) => ({ kind: definition.kind, definition })))('$kind', ({ definition }) => {
  const schema = structuralSchema(definition);
  const ours = [...walk(schema)].filter(([path]) => path.startsWith('.spec') || path.startsWith('.status'));

  // kubectl apply keeps a copy in an annotation, which ends at 256 KiB.
  test('stays below 120 kB', () => {
    expect(Buffer.byteLength(manifestText(definition))).toBeLessThan(120_000);
  });

  test('reads the same as YAML 1.1, which kubectl speaks, and 1.2', () => {
    const text = manifestText(definition);
    expect(parse(text, { version: '1.1' })).toEqual(parse(text, { version: '1.2' }));
  });

  test('offers no word that YAML 1.1 takes for a boolean', () => {
    const words = ours.filter(([path]) => path.startsWith('.spec')).flatMap(([, { enum: choices = [] }]) => choices);
    expect(words.filter((word) => /^(y|n|yes|no|on|off|true|false|null|~)$/i.test(String(word)))).toEqual([]);
  });

  test('describes every field in a short sentence', () => {
    const fields = ours.filter(([path]) => !path.endsWith('[]') && !path.endsWith('{}'));
    expect(
      fields.filter(([, { description = '' }]) => description === '' || description.length > 140).map(([path]) => path),
    ).toEqual([]);
  });

  test('bounds every string, list and map, so that rules over them are cheap', () => {
    const unbounded = ours.filter(([, each]) => {
      if (each.type === 'string') return each.maxLength === undefined && each.enum === undefined;
      if (each.type === 'array') return each.maxItems === undefined || each['x-kubernetes-list-type'] === undefined;
      return each.additionalProperties !== undefined && each.maxProperties === undefined;
    });
    expect(unbounded.map(([path]) => path)).toEqual([]);
  });

  test('shows STATUS first and AGE last', () => {
    const names = definition.printerColumns.map(({ name }) => name);
    expect([names[0], names.at(-1)]).toEqual(['Status', 'Age']);
  });

  test('has columns whose paths exist', () => {
    const paths = new Set([...walk(schema)].map(([path]) => path));
    const missing = definition.printerColumns.filter(
      ({ jsonPath }) => !jsonPath.startsWith('.metadata') && !paths.has(jsonPath),
    );
    expect(missing).toEqual([]);
  });

  test('is generated the same twice', () => {
    expect(manifestText(definition)).toBe(manifestText(definition));
    expect(manifestOf(definition)).toEqual(parse(manifestText(definition)));
  });
});
