// Evolutionary AutoML: tables in, the best pipelines and their report out.
export { EvolutionError, type Reason } from './errors.ts';
