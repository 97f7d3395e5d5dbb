// Evolutionary AutoML: tables in, the best pipelines and their report out.
export { EvolutionError, type Reason } from './errors.ts';
export { evolve, type LocalOptions, type LocalResult } from './run/local.ts';
export { type Model, openModel, type Predictions } from './run/model.ts';
export type { RunProgress } from './run/run.ts';
