// The acoustic engine as a library: the steps of a FieldJob, and what they are made of.
export { FieldError, type Reason } from './errors.ts';
export { type FinishResult, finish } from './job/finish.ts';
export { type PlanResult, plan, planByTurns } from './job/plan.ts';
export { type Problem, resolve } from './job/problem.ts';
export { openPool, type Progress, type ShardOptions, type ShardResult, shard } from './job/shard.ts';
export { type FileReader, mountedFile } from './job/tables.ts';
export { formatBytes } from './job/units.ts';
export { usableCores } from './machine.ts';
export { type Drive as SimulationDrive, type Recording, record } from './timedomain/record.ts';
export { type MassSource, Simulation, type SimulationSettings, stableTimeStep } from './timedomain/simulation.ts';
export { spreadSource } from './timedomain/source.ts';
