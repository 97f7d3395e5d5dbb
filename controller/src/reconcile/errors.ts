// Failures that the loop tells apart, and the words in which it reports them.
import { ApiError } from '../kube/errors.ts';
import type { KubeObject } from '../kube/types.ts';
import { refusedImage } from '../objects/references.ts';

/** Nobody but a person can help: no retry until the spec or an observed object changes. Shown as `Stalled`. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError';
  /** CamelCase, for the condition. */
  readonly reason: string;

  /** @param message What is wrong and what to do about it. */
  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Something else than the spec is in the way, and no watch of ours tells when it is gone: a slow retry notices. */
export class BlockedError extends Error {
  override readonly name: string = 'BlockedError';
  /** CamelCase, for the condition. */
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** An object that is not ours bears the name of a child. It is never adopted. */
export class NameConflictError extends BlockedError {
  override readonly name = 'NameConflictError';

  constructor(kind: string, name: string, controller: string | undefined) {
    const whose = controller ? `belongs to ${controller}` : 'was made by somebody else';
    super('NameConflict', `${kind} "${name}" ${whose}; delete or rename it, or rename this resource`);
  }
}

/** What is to be thrown of an API server's refusal of a child: one that no retry turns is told as such. */
export function refusalOf(error: unknown, child: KubeObject): unknown {
  if (!(error instanceof ApiError) || error.status !== 422 || apiReason(error) !== 'Invalid') return error;
  const image = refusedImage(child, error.message);
  if (image !== undefined) return new BlockedError('ImageVolumesMissing', image);
  return new BlockedError('ChildRefused', `${child.kind} "${child.metadata.name}" is refused: ${error.message}`);
}

export interface FailureReport {
  reason: string;
  message: string;
  /** May pass by itself: worth mentioning only once it persists. */
  transient: boolean;
}

/** Names a failure for the condition `Reconciling`. */
export function reportFailure(error: unknown): FailureReport {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof ApiError)) return { reason: 'ReconcileFailed', message, transient: false };
  const transient = error.status === 0 || error.status === 409 || error.status === 429 || error.status >= 500;
  return { reason: apiReason(error), message, transient };
}

function apiReason({ status, reason, message, causes }: ApiError): string {
  if (status === 0) return 'APIServerUnavailable';
  if (causes.includes('NamespaceTerminating')) return 'NamespaceTerminating';
  if (message.includes('exceeded quota')) return 'QuotaExceeded';
  if (/admission webhook .* denied|ValidatingAdmissionPolicy .* denied/.test(message)) return 'AdmissionDenied';
  if (message.includes('failed calling webhook')) return 'WebhookUnavailable';
  return /^[A-Za-z]\w*$/.test(reason) ? reason : 'ReconcileFailed';
}
