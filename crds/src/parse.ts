// From text or stored JSON to typed resources: strict for files that people write, lenient for what the API server holds.
import type { z } from 'zod';
import { type StructuralSchema, structuralSchema } from './openapi.ts';
import { apiVersion, type KindDefinition, type Resource, type ResourceOf } from './v1alpha1/definition.ts';

/** One thing that is wrong, where, and what to do. */
export interface Issue {
  /** Keys and indexes from the root of the resource. */
  path: readonly (string | number)[];
  message: string;
  fix?: string;
  file?: string;
  /** From 1. */
  line?: number;
  /** From 1. */
  column?: number;
}

/** A resource, or a file of resources, that cannot be accepted; `message` lists every issue on a line of its own. */
export class InvalidResourceError extends Error {
  readonly issues: readonly Issue[];
  constructor(issues: readonly Issue[]) {
    super(issues.map(formatIssue).join('\n'));
    this.name = 'InvalidResourceError';
    this.issues = issues;
  }
}

/** `file:line:column: spec.array.grid.pitch: what is wrong; what to do`. */
export function formatIssue({ file, line, column, path, message, fix }: Issue): string {
  const place = [file, line, column].filter((part) => part !== undefined).join(':');
  const head = [place, formatPath(path)].filter((part) => part !== '').join(': ');
  return `${head === '' ? '' : `${head}: `}${message}${fix === undefined ? '' : `; ${fix}`}`;
}

/** `spec.targets[0].position[2]`, as the API server writes it. */
export function formatPath(path: readonly (string | number)[]): string {
  return path.map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`)).join('');
}

export type Validated<R> = { resource: R; issues?: never } | { resource?: never; issues: Issue[] };

/** Strict: unknown fields, missing and malformed ones are all reported at once. `status` is ignored, as the API server does. */
export function validate<D extends KindDefinition>(definition: D, object: unknown): Validated<ResourceOf<D>> {
  if (!isMap(object))
    return { issues: [{ path: [], message: 'must be a map with apiVersion, kind, metadata and spec' }] };
  const { status: _ignored, ...candidate } = dropNulls(object) as Record<string, unknown>;
  const issues = [
    ...headerIssues(definition, candidate),
    ...unknownFields(schemaOf(definition), candidate, []),
    ...metadataIssues(candidate.metadata),
  ];
  const parsed = definition.spec.safeParse(candidate.spec ?? {});
  if (!parsed.success) issues.push(...parsed.error.issues.map((issue) => toIssue(issue, candidate)));
  else if (candidate.spec === undefined) issues.push({ path: ['spec'], message: 'is required' });
  const resource = { ...candidate, spec: parsed.data } as Resource;
  if (issues.length === 0) {
    for (const rule of definition.rules) {
      if (!rule.holds(resource)) issues.push({ path: rule.field, message: rule.message });
    }
  }
  return issues.length > 0 ? { issues } : { resource: resource as ResourceOf<D> };
}

/**
 * Lenient: fields that this version does not know are dropped, defaults of fields that the stored object predates are applied.
 * A status that cannot be read loses the members at fault: it is written anew anyway.
 * @throws InvalidResourceError when the spec cannot be understood.
 */
export function parseStored<D extends KindDefinition>(definition: D, object: unknown): ResourceOf<D> {
  if (!isMap(object) || !isMap(object.metadata) || typeof object.metadata.name !== 'string') {
    throw new InvalidResourceError([{ path: ['metadata', 'name'], message: 'is required' }]);
  }
  const stored = dropNulls(object) as Record<string, unknown>;
  const spec = definition.spec.safeParse(stored.spec ?? {});
  if (!spec.success) throw new InvalidResourceError(spec.error.issues.map((issue) => toIssue(issue, stored)));
  const status = isMap(stored.status) ? readStatus(definition.status, stored.status) : undefined;
  return {
    apiVersion,
    kind: definition.kind,
    metadata: object.metadata,
    spec: spec.data,
    ...(status !== undefined && { status }),
  } as unknown as ResourceOf<D>;
}

function readStatus(schema: z.ZodType, status: Record<string, unknown>): unknown {
  const parsed = schema.safeParse(status);
  if (parsed.success) return parsed.data;
  const faulty = new Set(parsed.error.issues.map(({ path }) => path[0]));
  const rest = Object.fromEntries(Object.entries(status).filter(([key]) => !faulty.has(key)));
  return schema.safeParse(rest).data ?? {};
}

function headerIssues({ kind }: KindDefinition, candidate: Record<string, unknown>): Issue[] {
  const issues: Issue[] = [];
  if (candidate.apiVersion !== apiVersion) issues.push({ path: ['apiVersion'], message: `must be ${apiVersion}` });
  if (candidate.kind !== kind) issues.push({ path: ['kind'], message: `must be ${kind}` });
  return issues;
}

const metadataFields = [
  'name',
  'generateName',
  'namespace',
  'labels',
  'annotations',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'finalizers',
  'ownerReferences',
  'managedFields',
  'selfLink',
];

function metadataIssues(metadata: unknown): Issue[] {
  if (!isMap(metadata)) return [{ path: ['metadata'], message: 'is required', fix: 'add metadata: {name: …}' }];
  const issues = Object.keys(metadata)
    .filter((key) => !metadataFields.includes(key))
    .map((key) => unknownField(['metadata', key], metadataFields));
  if (typeof metadata.name !== 'string')
    issues.push({
      path: ['metadata', 'name'],
      message: metadata.name === undefined ? 'is required' : 'must be a string',
    });
  for (const key of ['labels', 'annotations']) {
    const map = metadata[key];
    if (map === undefined) continue;
    if (!isMap(map)) issues.push({ path: ['metadata', key], message: 'must be a map of strings' });
    else {
      for (const [entry, value] of Object.entries(map)) {
        if (typeof value !== 'string')
          issues.push({ path: ['metadata', key, entry], message: 'must be a string', fix: 'write it in quotes' });
      }
    }
  }
  return issues;
}

const schemas = new WeakMap<KindDefinition, StructuralSchema>();
function schemaOf(definition: KindDefinition): StructuralSchema {
  const known = schemas.get(definition) ?? structuralSchema(definition);
  schemas.set(definition, known);
  return known;
}

/** Fields that the schema does not have; free-form places (metadata) are left to others. */
function unknownFields(schema: StructuralSchema, value: unknown, path: (string | number)[]): Issue[] {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? [] : value.flatMap((item, index) => unknownFields(items, item, [...path, index]));
  }
  const { properties } = schema;
  if (!isMap(value) || properties === undefined) return [];
  return Object.entries(value).flatMap(([key, member]) => {
    const known = Object.hasOwn(properties, key) ? properties[key] : undefined;
    return known === undefined
      ? [unknownField([...path, key], Object.keys(properties))]
      : unknownFields(known, member, [...path, key]);
  });
}

function unknownField(path: (string | number)[], known: readonly string[]): Issue {
  const key = String(path.at(-1));
  const near = known
    .map((name) => ({ name, distance: editDistance(key.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0];
  const close = near !== undefined && near.distance <= Math.max(1, Math.floor(near.name.length / 3));
  return {
    path,
    message: 'unknown field',
    fix: close ? `did you mean ${near.name}?` : `fields here are ${known.join(', ')}`,
  };
}

function toIssue(issue: z.core.$ZodIssue, root: unknown): Issue {
  const path = ['spec', ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))];
  const value = at(root, path);
  const fix = fixFor(issue, value);
  const missing = value === undefined && issue.code !== 'custom';
  const message = missing
    ? issue.message.startsWith('must')
      ? `is required: ${issue.message}`
      : 'is required'
    : plain(issue);
  return { path, message, ...(fix !== undefined && { fix }) };
}

/** zod's own sentences, said as the rest of our messages are. */
function plain(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.message.startsWith('Invalid input') ? `must be ${article(issue.expected)}` : issue.message;
    case 'invalid_value':
      return 'is not a value of this field';
    case 'too_big':
      return `must be at most ${sized(issue.maximum, issue.origin)}`;
    case 'too_small':
      return issue.message.startsWith('must')
        ? issue.message
        : `must be at least ${sized(issue.minimum, issue.origin)}`;
    default:
      return issue.message;
  }
}

function fixFor(issue: z.core.$ZodIssue, value: unknown): string | undefined {
  if (issue.code === 'invalid_value') return `use one of ${issue.values.join(', ')}`;
  if (issue.code !== 'invalid_type' || issue.expected !== 'string') return undefined;
  if (typeof value === 'boolean') return `write it in quotes: YAML takes the bare word for ${value}`;
  return typeof value === 'number' && !issue.message.startsWith('must') ? 'write it in quotes' : undefined;
}

const sized = (bound: number | bigint, origin: string): string =>
  origin === 'array' ? `${bound} items` : origin === 'string' ? `${bound} characters` : String(bound);

const names: Readonly<Record<string, string>> = {
  int: 'an integer',
  array: 'a list',
  object: 'a map',
  record: 'a map',
  boolean: 'true or false',
};
const article = (expected: string): string => names[expected] ?? `a ${expected}`;

/** No schema here is half as deep: what lies below sits in an unknown field and is not looked at. */
const maxDepth = 64;

/** Kubernetes takes a null member for one that is left out. What holds none is answered as it is. */
function dropNulls(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > maxDepth) return undefined;
  if (Array.isArray(value)) {
    const items = value.map((item) => dropNulls(item, depth + 1));
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  const map = value as Record<string, unknown>;
  let changed: Record<string, unknown> | undefined;
  for (const key of Object.keys(map)) {
    const kept = map[key] === null ? undefined : dropNulls(map[key], depth + 1);
    if (kept === map[key] && kept !== undefined) continue;
    changed ??= { ...map };
    if (kept === undefined) delete changed[key];
    else changed[key] = kept;
  }
  return changed ?? map;
}

export const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function at(root: unknown, path: readonly (string | number)[]): unknown {
  let value = root;
  for (const part of path)
    value = typeof value === 'object' && value !== null ? (value as Record<string | number, unknown>)[part] : undefined;
  return value;
}

/** Levenshtein distance of short words. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + cost));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
