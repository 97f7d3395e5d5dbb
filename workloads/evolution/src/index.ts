// Evolutionary AutoML: tables in, the best pipelines and their report out.
export { EvolutionError, type Reason } from './errors.ts';
export { isError } from './metrics/metrics.ts';
export { exportOnnx } from './onnx/export.ts';
export { Registry } from './registry/registry.ts';
export { type AuditRow, type Deployment, type ModelRow, mostListed } from './registry/rows.ts';
export { evolve, type LocalOptions, type LocalResult } from './run/local.ts';
export { type Model, openModel, type Predictions } from './run/model.ts';
export { type PredictOptions, type PredictSummary, predict } from './run/predict.ts';
export type { RunProgress } from './run/run.ts';
