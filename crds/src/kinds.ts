// All kinds, in the order in which pages list them.
import { type CompressionService, compressionService } from './v1alpha1/compressionservice.ts';
import { type CopyEngine, copyEngine } from './v1alpha1/copyengine.ts';
import { type EvolutionRun, evolutionRun } from './v1alpha1/evolutionrun.ts';
import { type FieldJob, fieldJob } from './v1alpha1/fieldjob.ts';
import { type MatcherPool, matcherPool } from './v1alpha1/matcherpool.ts';

export const kinds = [evolutionRun, compressionService, matcherPool, fieldJob, copyEngine] as const;

export type AnyDefinition = (typeof kinds)[number];
export type AnyResource = EvolutionRun | CompressionService | MatcherPool | FieldJob | CopyEngine;

export const definitionOf = (kind: string): AnyDefinition | undefined =>
  kinds.find((definition) => definition.kind === kind);
