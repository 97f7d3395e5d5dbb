// JSON schemas for kubeconform, made from what an API server publishes: strict, one file per kind, nothing downloaded.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

type Schema = Record<string, unknown>;

interface OpenApi {
  definitions: Record<string, Schema>;
}

interface GroupVersionKind {
  group: string;
  version: string;
  kind: string;
}

/** The value of `-schema-location` for schemas in `folder`. */
export const schemaLocation = (folder: string): string => `${folder}/{{.ResourceKind}}{{.KindSuffix}}.json`;

/**
 * Writes the schema of every kind into `folder`.
 * @param openApi the answer to `/openapi/v2`.
 * @returns how many kinds there are.
 */
export function writeSchemas(openApi: string, folder: string): number {
  const { definitions } = JSON.parse(openApi) as OpenApi;
  mkdirSync(folder, { recursive: true });
  const strict = Object.fromEntries(
    Object.entries(definitions).map(([name, schema]) => [name, strictly(name, schema)]),
  );
  let written = 0;
  for (const [name, schema] of Object.entries(definitions)) {
    const kinds = (schema['x-kubernetes-group-version-kind'] ?? []) as GroupVersionKind[];
    for (const kind of kinds) {
      const whole = { $ref: `#/definitions/${name}`, definitions: reachable(name, strict) };
      writeFileSync(join(folder, fileName(kind)), JSON.stringify(whole));
      written += 1;
    }
  }
  return written;
}

/** As kubeconform asks for it: the first label of the group, then the version. */
function fileName({ group, version, kind }: GroupVersionKind): string {
  return [kind.toLowerCase(), ...(group ? [group.split('.')[0]] : []), version.toLowerCase()].join('-').concat('.json');
}

function strictly(name: string, schema: Schema): Schema {
  // Written as a string in the published schema; the server takes numbers as well.
  if (/\.(Quantity|IntOrString)$/.test(name)) return { type: ['string', 'number'] };
  return tightened(schema) as Schema;
}

function tightened(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(tightened);
  if (typeof value !== 'object' || value === null) return value;
  // Formats such as int-or-string are Kubernetes' own; defaults may be of a type that the schema does not admit.
  const { format: _format, default: _default, properties, ...schema } = value as Schema;
  if (schema['x-kubernetes-int-or-string'] === true) return { type: ['string', 'number'] };
  const closed = properties !== undefined && !('additionalProperties' in schema);
  const open = schema['x-kubernetes-preserve-unknown-fields'] === true;
  const inside = Object.entries(schema).map(([key, each]) => [key, key === 'enum' ? each : tightened(each)]);
  return {
    ...Object.fromEntries(inside),
    ...(properties !== undefined && { properties: membersTightened(properties) }),
    ...(closed && !open && { additionalProperties: false }),
  };
}

/** Members are schemas whatever they are called, `format` and `default` too. */
function membersTightened(properties: unknown): Schema {
  return Object.fromEntries(Object.entries(properties as Schema).map(([name, schema]) => [name, tightened(schema)]));
}

/** The definitions that `name` refers to, itself included, however far. */
function reachable(name: string, definitions: Record<string, Schema>): Record<string, Schema> {
  const found: Record<string, Schema> = {};
  const waiting = [name];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const schema = definitions[next];
    if (!schema || found[next]) continue;
    found[next] = schema;
    for (const [, reference = ''] of JSON.stringify(schema).matchAll(/"#\/definitions\/([^"]+)"/g))
      waiting.push(reference);
  }
  return found;
}
