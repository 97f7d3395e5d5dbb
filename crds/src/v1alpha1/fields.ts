// The vocabulary all kinds are written in: strings with units, references, keyed lists, and rules that hold at both sides.
import { z } from 'zod';
import {
  bytesPattern,
  type Dimension,
  decimalPattern,
  dimensions,
  durationPattern,
  kubernetesQuantityPattern,
  parseKubernetesQuantity,
  patternOf,
  percentagePattern,
  type Sign,
  temperaturePattern,
} from './quantities.ts';

/** Quantities are short; the bound keeps CEL's cost estimate low. */
const quantityLength = 32;

const quantity =
  (dimension: Dimension) =>
  (sign: Sign = 'Positive') =>
    patterned(
      patternOf(dimension, sign),
      quantityLength,
      `must be a ${dimension.name} such as ${dimension.example} (units ${Object.keys(dimension.units).join(', ')}${sign === 'Positive' ? '; above zero' : ''})`,
    );

export const length = quantity(dimensions.length);
export const frequency = quantity(dimensions.frequency);
export const pressure = quantity(dimensions.pressure);
export const intensity = quantity(dimensions.intensity);
export const speed = quantity(dimensions.speed);
export const acceleration = quantity(dimensions.acceleration);
export const density = quantity(dimensions.density);
export const angle = quantity(dimensions.angle);
export const attenuation = quantity(dimensions.attenuation);
export const temperature = () =>
  patterned(temperaturePattern, quantityLength, 'must be a temperature such as 25C or 298K');
export const duration = () =>
  patterned(durationPattern, quantityLength, 'must be a duration such as 10m, 1h30m or 500ms, of numbers up to 99999');
export const percentage = () => patterned(percentagePattern, quantityLength, 'must be a percentage such as 20%');
export const bytes = () =>
  patterned(bytesPattern, quantityLength, 'must be an amount of bytes such as 256Mi, above zero');
export const decimal = (sign: Sign = 'NonNegative') =>
  patterned(decimalPattern(sign), quantityLength, 'must be a number in quotes, such as "0.001"');

/** A Kubernetes resource quantity; Kubernetes takes a bare integer too (`cpu: 1`). */
export const resourceQuantity = () =>
  z
    .union(
      [z.int().min(0), z.string().max(quantityLength).regex(new RegExp(kubernetesQuantityPattern))],
      'must be a Kubernetes quantity such as 500m, "0.5" or 2Gi',
    )
    .meta({ 'x-kubernetes-int-or-string': true, pattern: kubernetesQuantityPattern });

/** Three coordinates x, y, z. */
export const position = () => vector(length('Signed'));
export const extent = () => vector(length('Positive'));

/** DNS label: what a child object or a list key may be called. */
export const name = () =>
  patterned(dnsLabel, 63, 'must be a name of lower-case letters, digits and "-", such as team-a');
/** Name of a Kubernetes object (DNS subdomain). */
export const objectName = () =>
  patterned(dnsSubdomain, 253, 'must be the name of a Kubernetes object: lower-case letters, digits, "-" and "."');
/** Key of a ConfigMap or Secret. */
export const dataName = () => patterned('^[-._a-zA-Z0-9]+$', 253, 'must be a key of letters, digits, "-", "_" and "."');
export const sha256 = () => patterned('^[a-f0-9]{64}$', 64, 'must be a SHA-256 digest: 64 hexadecimal digits');
/** Relative path inside a volume: no leading slash, no part that starts with a dot. */
export const path = () =>
  patterned(
    '^([\\w=+@,-][\\w.=+@,-]*/)*[\\w=+@,-][\\w.=+@,-]*$',
    1024,
    'must be a relative path such as models/copy.gguf, whose parts do not start with a dot',
  );
export const httpUrl = () =>
  patterned('^https?://[^\\s]+$', 2048, 'must be a URL that starts with http:// or https://');
export const text = (max: number) => z.string().min(1).max(max);
export const int = (min: number, max: number) => z.int().min(min).max(max);
export const toggle = () => z.enum(['Enabled', 'Disabled']);
/** A moment in RFC 3339, as Kubernetes writes it. */
export const time = () => z.string().max(40).meta({ format: 'date-time' });

/** A list keyed by one of its members' fields, `name` unless told; duplicates are refused by the server and by zod. */
export function keyed<T extends z.ZodObject>(item: T, max: number, key: string & keyof z.output<T> = 'name') {
  return z
    .array(item)
    .max(max)
    .superRefine((list, context) => {
      const seen = new Set<unknown>();
      for (const [index, member] of list.entries()) {
        const value: unknown = (member as Record<string, unknown>)[key];
        if (seen.has(value)) {
          context.addIssue({
            code: 'custom',
            path: [index, key],
            message: `Duplicate value ${JSON.stringify(value)}: each ${key} may stand once`,
          });
        }
        seen.add(value);
      }
    })
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [key] });
}

/** A list of distinct scalars. */
export function set<T extends z.ZodType<string | number>>(item: T, max: number) {
  return z
    .array(item)
    .max(max)
    .superRefine((list, context) => {
      for (const [index, value] of list.entries()) {
        if (list.indexOf(value) < index) {
          context.addIssue({
            code: 'custom',
            path: [index],
            message: `Duplicate value ${JSON.stringify(value)}: may stand once`,
          });
        }
      }
    })
    .meta({ 'x-kubernetes-list-type': 'set' });
}

/** A list that is replaced as a whole. */
export const list = <T extends z.ZodType>(item: T, max: number) =>
  z.array(item).max(max).meta({ 'x-kubernetes-list-type': 'atomic' });

/** A map of short strings, such as labels. */
export function stringMap(max: number, valueLength = 253) {
  return z
    .record(z.string(), z.string().max(valueLength))
    .refine((map) => Object.keys(map).length <= max, `must have at most ${max} entries`)
    .meta({ maxProperties: max });
}

/** One validation written for both sides: `cel` at the API server, `holds` in zod, one message, one field it points at. */
export interface Rule<V> {
  cel: string;
  holds: (value: V) => boolean;
  message: string;
  /** Path below the object the rule stands on, of the field to change. */
  field: readonly string[];
}

/** `schema` with rules that hold at the API server (CEL) and in zod alike. */
export function ruled<T extends z.ZodType>(schema: T, ...rules: Rule<z.output<T>>[]): T {
  let result: z.ZodType = schema;
  for (const { holds, message, field } of rules) {
    result = result.refine((value) => holds(value as z.output<T>), { message, path: [...field] });
  }
  const earlier = (schema.meta()?.['x-kubernetes-validations'] ?? []) as unknown[];
  const own = rules.map(({ cel, message, field }) => ({
    rule: cel,
    message,
    ...(field.length > 0 && { fieldPath: field.map((part) => `.${part}`).join('') }),
  }));
  return result.meta({ 'x-kubernetes-validations': [...earlier, ...own] }) as T;
}

/** Rules of a union: the member that `discriminator` names must be there, the members of other values must not. */
export function memberOf<V extends Record<string, unknown>>(
  discriminator: string & keyof V,
  members: Readonly<Record<string, string & keyof V>>,
): Rule<V>[] {
  return Object.entries(members).map(([value, member]) => ({
    cel: `(self.${discriminator} == '${value}') == has(self.${member})`,
    holds: (object) => (object[discriminator] === value) === (object[member] !== undefined),
    message: `${member} is required when ${discriminator} is ${value}, and refused otherwise`,
    field: [member],
  }));
}

/** Rule that exactly one of the members is set. */
export function exactlyOne<V extends Record<string, unknown>>(...members: (string & keyof V)[]): Rule<V> {
  return {
    cel: `[${members.map((member) => `has(self.${member})`).join(', ')}].exists_one(set, set)`,
    holds: (object) => members.filter((member) => object[member] !== undefined).length === 1,
    message: `exactly one of ${members.join(', ')} must be set`,
    field: [],
  };
}

/** Rule that not more than one of the members is set. */
export function atMostOne<V extends Record<string, unknown>>(...members: (string & keyof V)[]): Rule<V> {
  return {
    cel: `[${members.map((member) => `has(self.${member})`).join(', ')}].filter(set, set).size() <= 1`,
    holds: (object) => members.filter((member) => object[member] !== undefined).length <= 1,
    message: `only one of ${members.join(', ')} may be set`,
    field: [members.at(-1) as string],
  };
}

/** Rule that one integer does not exceed another; a member that is left out passes. */
export function ordered<V extends Record<string, unknown>>(
  low: string & keyof V,
  high: string & keyof V,
  optional = false,
): Rule<V> {
  const cel = `self.${low} <= self.${high}`;
  return {
    cel: optional ? `!has(self.${low}) || !has(self.${high}) || ${cel}` : cel,
    holds: (object) =>
      object[low] === undefined || object[high] === undefined || Number(object[low]) <= Number(object[high]),
    message: `${low} must not exceed ${high}`,
    field: [low],
  };
}

/** Rule that what is requested of a resource does not exceed its limit. */
export function withinLimit(resource: string): Rule<{ requests?: Quantities; limits?: Quantities }> {
  // How CEL spells a member whose name is no identifier.
  const member = resource.replaceAll('-', '__dash__');
  const of = (side: string) => `self.${side}.${member}`;
  const isGiven = (side: string) => `has(self.${side}) && has(${of(side)})`;
  const amount = (side: string) => `quantity(string(${of(side)}))`;
  return {
    cel: `!(${isGiven('requests')} && ${isGiven('limits')}) || ${amount('requests')}.compareTo(${amount('limits')}) <= 0`,
    holds: ({ requests, limits }) => !(amountOf(requests?.[resource]) > amountOf(limits?.[resource])),
    message: `requests.${resource} must not exceed limits.${resource}`,
    field: ['requests', resource],
  };
}

/**
 * Rule on an update, which only the API server sees.
 * @param cel Over `self` and `oldSelf`.
 */
export const onChange = (field: string, cel: string, message: string): Rule<unknown> => ({
  cel,
  holds: () => true,
  message,
  field: [field],
});

type Quantities = Readonly<Record<string, string | number | undefined>>;

/** NaN of one that is left out, or that its own pattern refuses. */
function amountOf(given: string | number | undefined): number {
  const isQuantity = given !== undefined && new RegExp(kubernetesQuantityPattern).test(String(given));
  return isQuantity ? parseKubernetesQuantity(given) : Number.NaN;
}

export const dnsLabel = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$';
export const dnsSubdomain = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$';

/** A string of one form; the message serves a wrong type (a bare number) as well as a wrong text. */
export const patterned = (pattern: string, max: number, message: string) =>
  z.string(message).max(max).regex(new RegExp(pattern), message);

/** Three of one thing; typed as a tuple, written as a bounded list because structural schemas know no tuples. */
function vector(coordinate: z.ZodString) {
  const schema = z
    .array(coordinate, 'must be three values [x, y, z]')
    .length(3, 'must be three values [x, y, z]')
    .meta({ 'x-kubernetes-list-type': 'atomic' });
  return schema as unknown as z.ZodType<Vector, Vector>;
}

export type Vector = [x: string, y: string, z: string];
