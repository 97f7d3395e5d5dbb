// What can go wrong with a FieldJob, as the controller, the command line and the log report it.

export type Reason =
  | 'InvalidResource'
  | 'InvalidArray'
  | 'InvalidMedium'
  | 'InvalidTarget'
  | 'InvalidVolume'
  | 'VolumeTooLarge'
  | 'InvalidSafety'
  | 'InvalidMotion'
  | 'SafetyLimitExceeded'
  | 'Unsupported'
  | 'KernelRefused'
  | 'OutputUnwritable'
  | 'OutputFull'
  | 'OutputDamaged'
  | 'OutputIncomplete'
  | 'PlanMissing';

/** Reasons that may be gone at the next attempt with the same spec. */
const passing: ReadonlySet<Reason> = new Set([
  'OutputUnwritable',
  'OutputFull',
  'OutputDamaged',
  'OutputIncomplete',
  'PlanMissing',
]);

export class FieldError extends Error {
  readonly reason: Reason;
  /** Path in the resource, such as `spec.volume.size`. */
  readonly field: string | undefined;

  constructor(reason: Reason, message: string, field?: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'FieldError';
    this.reason = reason;
    this.field = field;
  }

  /** False when only a changed spec helps. */
  get retry(): boolean {
    return passing.has(this.reason);
  }

  /** In a pod: EX_TEMPFAIL where a retry may help, EX_CONFIG otherwise. */
  get exitCode(): number {
    return this.retry ? 75 : 78;
  }
}

/** A failure of a write or read on the output, named for what a person can do about it. */
export function outputError(error: unknown, path: string): FieldError {
  if (error instanceof FieldError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new FieldError(
      'OutputFull',
      `no space left for ${path}: free some or grow the volume; finished chunks are kept`,
      'spec.output',
      error,
    );
  }
  return new FieldError('OutputUnwritable', `${path}: ${message ?? String(error)}`, 'spec.output', error);
}
