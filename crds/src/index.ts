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
export { maxFileBytes, parseUserFile } from './userfile.ts';
export { defaultGpuResource, extendedGpuResource, phases } from './v1alpha1/common.ts';
export * from './v1alpha1/definition.ts';
export { type FieldJob, type FieldJobSpec, type FieldJobStatus, fieldJob } from './v1alpha1/fieldjob.ts';
export * from './v1alpha1/quantities.ts';
