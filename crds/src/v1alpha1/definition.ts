// What a kind is: names, schemas, columns and rules, from which the CRD, the reference page and the parsers are made.
import type { z } from 'zod';
import { dnsLabel, type Rule } from './fields.ts';

export const group = 'quintet.dev';
export const version = 'v1alpha1';
export const apiVersion = `${group}/${version}` as const;
export const category = 'quintet';

export interface PrinterColumn {
  name: string;
  type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  jsonPath: string;
  description: string;
  /** Shown only with `-o wide` when above zero. */
  priority?: number;
}

export interface Scale {
  specReplicasPath: string;
  statusReplicasPath: string;
  labelSelectorPath: string;
}

/** Metadata as stored objects have it and as far as anything here reads it. */
export interface Metadata {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
}

export interface Resource<K extends string = string, Spec = unknown, Status = unknown> {
  apiVersion: typeof apiVersion;
  kind: K;
  metadata: Metadata;
  spec: Spec;
  status?: Status;
}

export interface KindDefinition<
  K extends string = string,
  S extends z.ZodType = z.ZodType,
  T extends z.ZodType = z.ZodType,
> {
  readonly group: typeof group;
  readonly version: typeof version;
  readonly kind: K;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly description: string;
  readonly spec: S;
  readonly status: T;
  readonly printerColumns: readonly PrinterColumn[];
  readonly scale?: Scale;
  /** Rules on the whole resource. */
  readonly rules: readonly Rule<Resource>[];
}

/** The resource type of a definition, defaults applied. */
export type ResourceOf<D> =
  D extends KindDefinition<infer K, infer S, infer T> ? Resource<K, z.output<S>, z.output<T>> : never;

type Declared<K extends string, S extends z.ZodType, T extends z.ZodType> = Omit<
  KindDefinition<K, S, T>,
  'group' | 'version' | 'singular' | 'rules'
>;

export function defineKind<const K extends string, S extends z.ZodType, T extends z.ZodType>(
  declared: Declared<K, S, T>,
): KindDefinition<K, S, T> {
  return { group, version, singular: declared.kind.toLowerCase(), rules: nameRules, ...declared };
}

/** Longest name of a resource: children add up to eleven characters and must stay DNS labels of 63. */
export const maxNameLength = 52;

const nameRules: readonly Rule<Resource>[] = [
  {
    cel: `size(self.metadata.name) <= ${maxNameLength}`,
    holds: ({ metadata }) => metadata.name.length <= maxNameLength,
    message: `metadata.name must be at most ${maxNameLength} characters: children add suffixes to it`,
    field: ['metadata', 'name'],
  },
  {
    cel: `self.metadata.name.matches('${dnsLabel.replace('[a-z0-9]', '[a-z]')}')`,
    holds: ({ metadata }) => new RegExp(dnsLabel.replace('[a-z0-9]', '[a-z]')).test(metadata.name),
    message:
      'metadata.name must start with a letter and have only lower-case letters, digits and "-", as the name of a Service must',
    field: ['metadata', 'name'],
  },
];

export const statusColumn: PrinterColumn = {
  name: 'Status',
  type: 'string',
  jsonPath: '.status.phase',
  description: 'What it is at.',
};
export const ageColumn: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since creation.',
};
export const replicasScale: Scale = {
  specReplicasPath: '.spec.replicas',
  statusReplicasPath: '.status.replicas',
  labelSelectorPath: '.status.selector',
};
