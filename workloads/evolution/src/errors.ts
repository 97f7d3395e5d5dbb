// What can go wrong with an EvolutionRun, as the controller, the command line and the log report it.

export type Reason =
  | 'InvalidResource'
  | 'DataUnreadable'
  | 'DataDamaged'
  | 'DataTooLarge'
  | 'DataInvalid'
  | 'DataSuspect'
  | 'TargetInvalid'
  | 'SplitInvalid'
  | 'LibraryMissing'
  | 'TrainingFailed'
  | 'BudgetTooShort'
  | 'ModelDamaged'
  | 'InputInvalid'
  | 'Unsupported'
  | 'QueueUnavailable'
  | 'RegistryUnavailable'
  | 'RegistryRefused'
  | 'OutputUnwritable';

/** Reasons that may be gone at the next attempt with the same spec. */
const passing: ReadonlySet<Reason> = new Set([
  'DataUnreadable',
  'QueueUnavailable',
  'RegistryUnavailable',
  'OutputUnwritable',
]);

export interface Where {
  /** Path in the resource, such as `spec.dataset.target`. */
  field?: string;
  column?: string;
  /** Line of the file, the header being 1. */
  row?: number;
  fix?: string;
}

export class EvolutionError extends Error {
  readonly reason: Reason;
  readonly where: Where;

  constructor(reason: Reason, message: string, where: Where = {}, cause?: unknown) {
    super(`${message}${where.fix === undefined ? '' : `; ${where.fix}`}`, cause === undefined ? undefined : { cause });
    this.name = 'EvolutionError';
    this.reason = reason;
    this.where = where;
  }

  /** True when the same spec may succeed later. */
  get retryable(): boolean {
    return passing.has(this.reason);
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
