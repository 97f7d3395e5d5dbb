// Random specs that the schemas accept, from the schemas themselves: every field, every bound, every union.
import { type AnyDefinition, type StructuralSchema, structuralSchema, validate } from '@quintet/crds';
import fc from 'fast-check';

/** A resource as somebody might write it; valid by zod and, as the suites show, by the API server. */
export interface Written {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  spec: Record<string, unknown>;
}

type Path = readonly (string | number)[];

/** Of a hundred optional fields so many are set. */
const optionalShare = 35;
const maxItems = 3;
/** So many steps towards validity are tried before a draft is given up. */
const maxRepairs = 60;

export function resources(definition: AnyDefinition): fc.Arbitrary<Written> {
  const schema = structuralSchema(definition);
  const { apiVersion, kind } = headOf(definition);
  const spec = schema.properties?.spec ?? {};
  return fc
    .record({ name: resourceName, spec: valueOf(spec), seed: fc.nat() })
    .map(({ name, spec: drafted, seed }) => {
      const draft = { apiVersion, kind, metadata: { name }, spec: drafted as Record<string, unknown> };
      return new Repair(definition, schema, seed).of(draft);
    })
    .filter((written) => written !== undefined);
}

const headOf = ({ group, version, kind }: AnyDefinition) => ({ apiVersion: `${group}/${version}`, kind });

/** Up to the longest that is accepted. */
const resourceName = fc.oneof(
  { weight: 3, arbitrary: fc.stringMatching(/^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$/) },
  { weight: 1, arbitrary: fc.constant(`n${'x'.repeat(51)}`) },
  { weight: 1, arbitrary: fc.constant(`n${'-'.repeat(50)}x`) },
);

const made = new WeakMap<StructuralSchema, fc.Arbitrary<unknown>>();
function valueOf(schema: StructuralSchema): fc.Arbitrary<unknown> {
  const known = made.get(schema) ?? drawn(schema);
  made.set(schema, known);
  return known;
}

function drawn(schema: StructuralSchema): fc.Arbitrary<unknown> {
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema['x-kubernetes-int-or-string']) return fc.oneof(fc.nat(100_000), textOf(schema));
  switch (schema.type) {
    case 'object':
      return objectOf(schema);
    case 'array':
      return listOf(schema);
    case 'integer':
      return fc.integer({ min: schema.minimum ?? -(2 ** 31), max: schema.maximum ?? 2 ** 31 });
    case 'boolean':
      return fc.boolean();
    case 'string':
      return textOf(schema);
    default:
      throw new TypeError(`a schema of type ${schema.type}`);
  }
}

function objectOf(schema: StructuralSchema): fc.Arbitrary<unknown> {
  if (schema.additionalProperties) {
    const size = { maxKeys: Math.min(schema.maxProperties ?? maxItems, maxItems), noNullPrototype: true };
    return fc.dictionary(mapKey, valueOf(schema.additionalProperties), size);
  }
  const members = Object.entries(schema.properties ?? {});
  const chosen = Object.fromEntries(
    members.map(([key, member]) => [key, isRequired(schema, key) ? valueOf(member) : sometimes(valueOf(member))]),
  );
  return fc.record(chosen).map((object) => oneOfEach(schema, withoutAbsent(object)));
}

const absent = Symbol('absent');
const sometimes = (value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 100 - optionalShare, arbitrary: fc.constant(absent) },
    { weight: optionalShare, arbitrary: value },
  );
const withoutAbsent = (object: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== absent));
const isRequired = (schema: StructuralSchema, key: string): boolean => schema.required?.includes(key) ?? false;

/** Unions: members that exclude each other, or that the discriminator does not name, go; the rules say which they are. */
function oneOfEach(schema: StructuralSchema, object: Record<string, unknown>): Record<string, unknown> {
  for (const { rule } of rulesOf(schema)) {
    const belongs = /^\(self\.(\w+) == '(\w+)'\) == has\(self\.(\w+)\)$/.exec(rule);
    const needs = /^!has\(self\.(\w+)\) \|\| self\.(\w+) == '(\w+)'$/.exec(rule);
    const [discriminator = '', value, member = ''] = belongs?.slice(1) ?? [needs?.[2], needs?.[3], needs?.[1]];
    if ((object[discriminator] ?? schema.properties?.[discriminator]?.default) !== value) delete object[member];
    if (!/exists_one|size\(\) <= 1/.test(rule)) continue;
    const [, ...others] = operandsOf(rule).filter(([name = '']) => name in object);
    for (const [name = ''] of others) delete object[name];
  }
  return object;
}

/** Labels and annotations: mostly names as people give them, sometimes anything. */
const mapKey = fc.oneof(
  { weight: 8, arbitrary: fc.stringMatching(/^[a-z]([a-z0-9.-]{0,20}[a-z0-9])?$/) },
  { weight: 2, arbitrary: fc.stringMatching(/^[a-z][a-z0-9.]{0,20}[a-z]\/[A-Za-z][A-Za-z0-9_.-]{0,20}[a-z]$/) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 8 }) },
  { weight: 1, arbitrary: fc.constant('k'.repeat(64)) },
);

/** The longest name of a Kubernetes object. */
const longName = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`;

function textOf({ pattern, format, minLength = 0, maxLength = 64 }: StructuralSchema): fc.Arbitrary<string> {
  if (format === 'date-time') return fc.constant('2026-01-01T12:00:00Z');
  if (pattern === undefined) {
    const unit = fc.constantFrom('grapheme-ascii' as const, 'grapheme' as const);
    return fc
      .oneof(
        { weight: 4, arbitrary: fc.stringMatching(/^[a-z0-9][a-z0-9./:_-]{0,30}$/) },
        {
          weight: 1,
          arbitrary: unit.chain((each) => fc.string({ unit: each, minLength, maxLength: Math.min(maxLength, 40) })),
        },
        { weight: 1, arbitrary: fc.constant('x'.repeat(maxLength)) },
      )
      .filter((text) => text.length >= minLength && text.length <= maxLength);
  }
  const matching = fc.stringMatching(new RegExp(pattern)).filter((text) => text.length <= maxLength);
  if (maxLength !== longName.length) return matching;
  return fc.oneof({ weight: 9, arbitrary: matching }, { weight: 1, arbitrary: fc.constant(longName) });
}

function listOf({
  items = {},
  minItems = 0,
  maxItems: most = maxItems,
  ...schema
}: StructuralSchema): fc.Arbitrary<unknown> {
  const length = { minLength: minItems, maxLength: Math.max(minItems, Math.min(most, maxItems)) };
  const keys = schema['x-kubernetes-list-map-keys'] as string[] | undefined;
  if (schema['x-kubernetes-list-type'] === 'set') return fc.uniqueArray(valueOf(items), length);
  if (!keys) return fc.array(valueOf(items), length);
  const selector = (item: unknown) => JSON.stringify(keys.map((key) => (item as Record<string, unknown>)[key]));
  return fc.uniqueArray(valueOf(items), { ...length, selector });
}

interface Rule {
  rule: string;
  message: string;
  fieldPath?: string;
}

const rulesOf = (schema: StructuralSchema): Rule[] => (schema['x-kubernetes-validations'] as Rule[] | undefined) ?? [];

/** The fields that a rule reads, below the object it stands on. */
const operandsOf = (rule: string): string[][] =>
  [...rule.matchAll(/\bself\.(\w+(?:\.\w+)*)(?!\()/g)].map(([, path = '']) =>
    path.split('.').filter((part) => !/^(all|exists|exists_one|size|matches|endsWith)$/.test(part)),
  );

/** Brings a draft that breaks rules between fields to one that keeps them, by changing what the broken rules read. */
class Repair {
  readonly #definition: AnyDefinition;
  readonly #schema: StructuralSchema;
  #seed: number;

  constructor(definition: AnyDefinition, schema: StructuralSchema, seed: number) {
    this.#definition = definition;
    this.#schema = schema;
    this.#seed = seed;
  }

  of(draft: Written): Written | undefined {
    let best = draft;
    let issues = this.#issues(best);
    for (let step = 0; step < maxRepairs && issues.length > 0; step++) {
      const [{ path, message }] = issues as [(typeof issues)[number]];
      const next = this.#edited(best, path, message, step);
      const left = next && this.#issues(next);
      // A step that changes nothing may be needed on the way; one that makes it worse never is.
      if (left && left.length <= issues.length) [best, issues] = [next, left];
    }
    return issues.length === 0 ? best : undefined;
  }

  #issues(draft: Written) {
    return validate(this.#definition, draft).issues ?? [];
  }

  /** One of the fields of the broken rule, or the place of the issue, left out or drawn anew. */
  #edited(draft: Written, place: Path, message: string, step: number): Written | undefined {
    const targets = [place];
    for (let depth = 1; depth <= place.length; depth++) {
      const base = place.slice(0, depth);
      for (const rule of rulesOf(schemaAt(this.#schema, base))) {
        if (rule.message === message) targets.push(...operandsOf(rule.rule).map((operand) => [...base, ...operand]));
      }
    }
    const target = targets[this.#random(targets.length)] ?? place;
    const copy = structuredClone(draft) as unknown as Record<string, unknown>;
    const parent = target
      .slice(0, -1)
      .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key as string], copy);
    const key = target.at(-1) as string;
    if (typeof parent !== 'object' || parent === null) return undefined;
    const holder = parent as Record<string, unknown>;
    if (Array.isArray(parent)) parent.splice(Number(key), 1);
    else if (
      holder[key] !== undefined &&
      step % 2 === 0 &&
      !isRequired(schemaAt(this.#schema, target.slice(0, -1)), key)
    )
      delete holder[key];
    else
      holder[key] = fc.sample(valueOf(schemaAt(this.#schema, target)), { seed: this.#random(2 ** 31), numRuns: 1 })[0];
    return copy as unknown as Written;
  }

  /** 0 … below − 1, by a linear congruence: the same draft is always repaired alike. */
  #random(below: number): number {
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#seed / 2 ** 32) * below);
  }
}

function schemaAt(schema: StructuralSchema, path: Path): StructuralSchema {
  let at: StructuralSchema = schema;
  for (const part of path)
    at = (typeof part === 'number' ? at.items : (at.properties?.[part] ?? at.additionalProperties)) ?? {};
  return at;
}
