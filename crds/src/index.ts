// The custom resources of quintet.dev: schemas, types, parsers and quantities.
export { type AnyDefinition, type AnyResource, definitionOf, kinds } from './kinds.ts';
export { type StructuralSchema, structuralSchema } from './openapi.ts';
export {
  formatIssue,
  formatPath,
  InvalidResourceError,
  type Issue,
  parseStored,
  type Validated,
  validate,
} from './parse.ts';
export {
  claimsRoot,
  fileOf,
  imagesRoot,
  type Reference,
  referenceAt,
  referencesOf,
  secretsRoot,
} from './references.ts';
export { defaultGpuResource, extendedGpuResource, phases } from './v1alpha1/common.ts';
export {
  type CompressionService,
  type CompressionServiceSpec,
  type CompressionServiceStatus,
  compressionService,
} from './v1alpha1/compressionservice.ts';
export { type CopyEngine, type CopyEngineSpec, type CopyEngineStatus, copyEngine } from './v1alpha1/copyengine.ts';
export * from './v1alpha1/definition.ts';
export { partAsking } from './v1alpha1/evolutionchange.ts';
export {
  type EvolutionRun,
  type EvolutionRunSpec,
  type EvolutionRunStatus,
  evolutionRun,
} from './v1alpha1/evolutionrun.ts';
export { type FieldJob, type FieldJobSpec, type FieldJobStatus, fieldJob } from './v1alpha1/fieldjob.ts';
export { type MatcherPool, type MatcherPoolSpec, type MatcherPoolStatus, matcherPool } from './v1alpha1/matcherpool.ts';
export * from './v1alpha1/quantities.ts';
