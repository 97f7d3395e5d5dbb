// zod schemas → structural OpenAPI schemas, as a CustomResourceDefinition takes them.
import { z } from 'zod';
import type { KindDefinition } from './v1alpha1/definition.ts';

/** The part of a structural schema that is read here; everything else passes through. */
export interface StructuralSchema {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  pattern?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  required?: string[];
  properties?: Record<string, StructuralSchema>;
  additionalProperties?: StructuralSchema;
  items?: StructuralSchema;
  [extension: `x-kubernetes-${string}`]: unknown;
}

/** Schema of the whole resource, rules of the definition included. */
export function structuralSchema(definition: KindDefinition): StructuralSchema {
  return {
    type: 'object',
    description: definition.description,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: `${definition.group}/${definition.version}` },
      kind: { type: 'string', description: definition.kind },
      metadata: { type: 'object' },
      spec: { description: 'What is wanted.', ...convert(definition.spec) },
      status: { description: 'What is.', ...convert(definition.status) },
    },
    'x-kubernetes-validations': definition.rules.map(({ cel, message }) => ({
      rule: cel,
      message,
      fieldPath: '.metadata',
    })),
  };
}

function convert(schema: z.ZodType): StructuralSchema {
  const converted = z.toJSONSchema(schema, {
    target: 'openapi-3.0',
    io: 'input',
    reused: 'inline',
    cycles: 'throw',
    unrepresentable: 'throw',
    override: ({ jsonSchema }) => {
      dropSafeIntegerBounds(jsonSchema as StructuralSchema);
      // JavaScript escapes the slash in a regular expression's source; nobody else needs it.
      if (jsonSchema.pattern !== undefined) jsonSchema.pattern = jsonSchema.pattern.replaceAll('\\/', '/');
      if ('x-kubernetes-int-or-string' in jsonSchema) jsonSchema.anyOf = [{ type: 'integer' }, { type: 'string' }];
    },
  }) as StructuralSchema;
  completeDefaults(converted);
  return converted;
}

/** The API server tries the rules of a schema on its default as it is written, before it fills in the defaults of members. */
function completeDefaults(schema: StructuralSchema): void {
  const members = [...Object.values(schema.properties ?? {}), ...(schema.items === undefined ? [] : [schema.items])];
  for (const member of members) completeDefaults(member);
  if (schema.default !== undefined && 'x-kubernetes-validations' in schema) {
    schema.default = withDefaults(schema, schema.default);
  }
}

function withDefaults(schema: StructuralSchema, value: unknown): unknown {
  const { properties } = schema;
  if (properties === undefined || typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const result: Record<string, unknown> = { ...value };
  for (const [key, member] of Object.entries(properties)) {
    const given = result[key] ?? member.default;
    if (given !== undefined) result[key] = withDefaults(member, given);
  }
  return result;
}

/** zod bounds every integer by what a double holds; said on each field it is noise. */
function dropSafeIntegerBounds(schema: StructuralSchema): void {
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
}
