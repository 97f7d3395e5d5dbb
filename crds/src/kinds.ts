// All kinds, in the order in which pages list them.
import { type FieldJob, fieldJob } from './v1alpha1/fieldjob.ts';

export const kinds = [fieldJob] as const;

export type AnyDefinition = (typeof kinds)[number];
export type AnyResource = FieldJob;

export const definitionOf = (kind: string): AnyDefinition | undefined =>
  kinds.find((definition) => definition.kind === kind);
