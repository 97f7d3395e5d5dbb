// Evolutionary AutoML: tables in, the best pipelines and their report out.
export { EvolutionError, type Reason } from './errors.ts';
export { exportOnnx } from './onnx/export.ts';
export { type ModelRow, Registry } from './registry/registry.ts';
export { evolve, type LocalOptions, type LocalResult } from './run/local.ts';
export { type Model, openModel, type Predictions } from './run/model.ts';
export { type PredictOptions, type PredictSummary, predict } from './run/predict.ts';
export type { RunProgress } from './run/run.ts';
