// What all commands share: Ctrl-C, and what an error means to whoever called.
import { interrupts } from './interrupts.ts';

const again = 75;

interface Failure {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly path?: string;
  readonly reason?: string;
  readonly field?: string;
  readonly retryable?: boolean;
  readonly cause?: unknown;
  readonly where?: { readonly field?: string; readonly column?: string; readonly row?: number };
}

/**
 * Runs a command with a signal that Ctrl-C aborts; a second Ctrl-C does not wait.
 * @returns the exit code: 0, 2 where file or flags must change, 75 where it may go well later, 130 interrupted, 1 for anything else.
 * What went wrong has been said on standard error.
 */
export async function guarded(work: (signal: AbortSignal) => Promise<void>): Promise<number> {
  const { signal, stopListening } = interrupts();
  try {
    await work(signal);
    return 0;
  } catch (error) {
    if (signal.aborted) {
      console.error('interrupted');
      return 130;
    }
    return explained(error as Failure);
  } finally {
    stopListening();
  }
}

function explained(error: Failure): number {
  const system: Record<string, [message: string, code: number]> = {
    ENOENT: ['there is no such file or folder', 2],
    EISDIR: ['this is a folder', 2],
    ENOTDIR: ['this is no folder', 2],
    EACCES: ['this may not be read or written', 2],
    ENOSPC: ['the disk is full', again],
    ECONNREFUSED: ['nothing answers there', again],
  };
  const [message, code] = system[error.code ?? ''] ?? [];
  if (message !== undefined && code !== undefined) {
    console.error(error.path === undefined ? error.message : `${error.path}: ${message}`);
    return code;
  }
  // A file that is named wrong comes later in a cluster, and not here.
  if (error.reason === 'DataUnreadable' && (error.cause as Failure | undefined)?.code !== undefined)
    return explained(error.cause as Failure);
  const kinds = [
    'CompressionError',
    'EvolutionError',
    'InvalidResourceError',
    'MatcherError',
    'UnwritableError',
    'UsageError',
  ];
  if (!kinds.includes(error.name)) {
    console.error(error);
    return 1;
  }
  const { field, column, row }: NonNullable<Failure['where']> =
    error.where ?? (error.field ? { field: error.field } : {});
  const place = [field, column && `column ${column}`, row && `line ${row}`].filter(Boolean).join(', ');
  // Some say the line themselves, for callers that have nothing else.
  const prefix = [`line ${row}: `, `row ${row}: `, `column ${column}, row ${row}: `].find((each) =>
    error.message.startsWith(each),
  );
  const said = error.message.slice(prefix?.length ?? 0);
  console.error([error.reason, place, said].filter(Boolean).join(': '));
  return error.retryable ? again : 2;
}

/** Flags or files that cannot be followed. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** The way out is closed, which may pass. */
export class UnwritableError extends Error {
  readonly reason = 'OutputUnwritable';
  readonly field = '--out';
  readonly retryable = true;

  constructor(path: string, cause: Error) {
    super(`${path} cannot be written: ${cause.message}`, { cause });
    this.name = 'UnwritableError';
  }
}
