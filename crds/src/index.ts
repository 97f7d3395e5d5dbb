// The custom resources of quintet.dev: schemas, types, parsers and quantities.
export * from './v1alpha1/definition.ts';
export { type FieldJob, type FieldJobSpec, type FieldJobStatus, fieldJob } from './v1alpha1/fieldjob.ts';
export * from './v1alpha1/quantities.ts';
