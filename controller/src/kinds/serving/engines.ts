// What differs between the kinds that serve: the engine behind them, and what its pods need.
import type { CompressionService, CopyEngine, FieldJob, MatcherPool } from '@quintet/crds';

/** A FieldJob in mode Service, with a count of pods as the others have one. */
export type FieldService = Omit<FieldJob, 'spec'> & { spec: FieldJob['spec'] & { replicas: number } };

export type Served = CompressionService | MatcherPool | CopyEngine | FieldService;

export interface Engine {
  /** Last part of the names of its objects; its image's and settings' name too. */
  name: string;
  /** How long a container may take until it answers: models are loaded meanwhile. */
  startupSeconds: number;
  /** Time for requests in work to end once endpoints have forgotten the pod. */
  drainSeconds: number;
}

export const engines = {
  CompressionService: { name: 'compression', startupSeconds: 120, drainSeconds: 30 },
  MatcherPool: { name: 'matcher', startupSeconds: 300, drainSeconds: 30 },
  CopyEngine: { name: 'copy', startupSeconds: 900, drainSeconds: 120 },
  FieldJob: { name: 'field', startupSeconds: 120, drainSeconds: 30 },
} as const satisfies Record<Served['kind'], Engine>;
