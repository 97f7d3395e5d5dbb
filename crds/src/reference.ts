// Definitions → the API reference page: each kind's fields with type, default, bounds and meaning.
import { type StructuralSchema, structuralSchema } from './openapi.ts';
import { apiVersion, category, type KindDefinition } from './v1alpha1/definition.ts';
import { dnsLabel, dnsSubdomain } from './v1alpha1/fields.ts';
import {
  bytesPattern,
  decimalPattern,
  dimensions,
  durationPattern,
  kubernetesQuantityPattern,
  patternOf,
  percentagePattern,
  type Sign,
  temperaturePattern,
} from './v1alpha1/quantities.ts';

export function referenceText(definitions: readonly KindDefinition[]): string {
  const parts = [
    '<!-- Generated from crds/src by make generate; edits are lost. -->',
    '# API reference',
    `Everything is \`${apiVersion}\`, namespaced, and in the category \`${category}\`: \`kubectl get ${category}\` lists all kinds.`,
    'A field in **bold** is required. `[]` marks a list, `{}` a map. Quantities are strings with a unit; a default stands where one is applied.',
    definitions
      .map(
        ({ kind, shortNames, description }) =>
          `- [${kind}](#${kind.toLowerCase()}) (\`${shortNames.join('`, `')}\`): ${description}`,
      )
      .join('\n'),
    ...definitions.map(kindSection),
  ];
  return `${parts.join('\n\n')}\n`;
}

function kindSection(definition: KindDefinition): string {
  const { spec, status } = structuralSchema(definition).properties ?? {};
  const columns = definition.printerColumns.map(({ name }) => name.toUpperCase()).join(' ');
  const rules = [...new Set([...definition.rules.map(({ message }) => message), ...messages(spec ?? {}, 'spec')])];
  return [
    `## ${definition.kind}`,
    definition.description,
    `\`kubectl get ${definition.plural}\` shows NAME ${columns}. ${definition.scale === undefined ? 'It has no `/scale`.' : `\`/scale\` sets \`${definition.scale.specReplicasPath.slice(1)}\`.`}`,
    '### Spec',
    table(spec ?? {}, 'spec'),
    '### Rules',
    rules.map((rule) => `- ${rule}`).join('\n'),
    '### Status',
    table(status ?? {}, 'status'),
  ].join('\n\n');
}

function table(schema: StructuralSchema, root: string): string {
  return ['| field | type | default | bounds | |', '|---|---|---|---|---|', ...rows(schema, root)].join('\n');
}

function rows(schema: StructuralSchema, path: string): string[] {
  const { properties = {}, required = [] } = schema;
  return Object.entries(properties).flatMap(([key, member]) => {
    const field = `${path}.${key}${suffix(member)}`;
    const label = `\`${field}\``;
    const cells = [
      required.includes(key) && member.default === undefined ? `**${label}**` : label,
      typeOf(member),
      member.default === undefined || isEmpty(member.default) ? '' : `\`${JSON.stringify(member.default)}\``,
      bounds(member),
      member.description ?? '',
    ];
    return [`| ${cells.map(escape).join(' | ')} |`, ...rows(member.items ?? member, field)];
  });
}

const suffix = (schema: StructuralSchema): string =>
  schema.items !== undefined ? '[]' : schema.additionalProperties !== undefined ? '{}' : '';

function typeOf(schema: StructuralSchema): string {
  if (schema['x-kubernetes-int-or-string'] === true) return 'integer or string';
  if (schema.items !== undefined)
    return `list of ${schema.items.enum === undefined ? (schema.items.type ?? '') : 'words'}`;
  if (schema.additionalProperties !== undefined) return 'map of strings';
  return schema.enum === undefined ? (schema.type ?? '') : 'word';
}

function bounds(schema: StructuralSchema): string {
  const { items } = schema;
  const words = schema.enum ?? items?.enum;
  const form = schema.pattern ?? items?.pattern;
  const said = [
    words === undefined ? '' : words.map((word) => `\`${String(word)}\``).join(' '),
    range(schema.minimum, schema.maximum, ''),
    range(schema.minItems, schema.maxItems, ' items'),
    schema.maxProperties === undefined ? '' : `at most ${schema.maxProperties} entries`,
    form === undefined ? range(undefined, schema.maxLength, ' characters') : formOf(form),
  ];
  return said.filter((part) => part !== '').join('; ');
}

/** What a pattern means, for those that recur; the others stand as they are. */
const formOf = (pattern: string): string => forms.get(pattern) ?? `\`${pattern}\``;

const signs = { Positive: 'above zero', NonNegative: 'not negative', Signed: 'any sign' } as const satisfies Record<
  Sign,
  string
>;
const everySign = Object.entries(signs) as [Sign, string][];
const forms: ReadonlyMap<string, string> = new Map([
  ...Object.values(dimensions).flatMap((dimension) =>
    everySign.map(([sign, said]): [string, string] => [
      patternOf(dimension, sign),
      `${dimension.name} in ${Object.keys(dimension.units)
        .map((unit) => `\`${unit}\``)
        .join(' ')}, ${said}`,
    ]),
  ),
  ...everySign.map(([sign, said]): [string, string] => [decimalPattern(sign), `number in quotes, ${said}`]),
  [temperaturePattern, 'temperature in `C` `K`'],
  [durationPattern, 'duration in `h` `m` `s` `ms`'],
  [percentagePattern, '`0%` to `100%`'],
  [bytesPattern, 'bytes, such as `256Mi`'],
  [kubernetesQuantityPattern, 'Kubernetes quantity'],
  [dnsLabel, 'DNS label'],
  [dnsSubdomain, 'name of a Kubernetes object'],
]);

function range(low: number | undefined, high: number | undefined, unit: string): string {
  if (low !== undefined && low === high) return `exactly ${low}${unit}`;
  if (low === undefined) return high === undefined ? '' : `at most ${high}${unit}`;
  return high === undefined ? `at least ${low}${unit}` : `${low} to ${high}${unit}`;
}

/** Messages of the rules inside a schema, each with the place it stands at. */
function messages(schema: StructuralSchema, path: string): string[] {
  const own = (schema['x-kubernetes-validations'] ?? []) as { message: string }[];
  const deeper = Object.entries(schema.properties ?? {}).flatMap(([key, member]) =>
    messages(member, `${path}.${key}${suffix(member)}`),
  );
  return [
    ...own.map(({ message }) => `\`${path}\`: ${message}`),
    ...deeper,
    ...(schema.items === undefined ? [] : messages(schema.items, path)),
  ];
}

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;
const escape = (cell: string): string => cell.replaceAll('|', '\\|').replaceAll('\n', ' ');
