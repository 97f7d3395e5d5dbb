// What a call to the API server can end with, besides its result.

/** The API server refused, or could not be reached (`status` 0: reason `ConnectionFailed` or `Timeout`). */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** Kubernetes' own reason (`NotFound`, `Conflict`, `Invalid`, …), else derived from the HTTP status. */
  readonly reason: string;
  /** How long the server asks to be left alone, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** `details.causes[].reason` of the Status object, e.g. `ResourceVersionTooLarge`. */
  readonly causes: readonly string[];

  constructor(status: number, reason: string, message: string, retryAfterMs?: number, causes: readonly string[] = []) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
    this.causes = causes;
  }
}

/** A write was held back because this process may no longer be the leader. */
export class FencedError extends Error {
  override readonly name = 'FencedError';
}

interface StatusObject {
  code?: number;
  reason?: string;
  message?: string;
  details?: { retryAfterSeconds?: number; causes?: { reason?: string }[] };
}

/** Reads the `Status` object of a refusal; a body that is none (a proxy's HTML page) becomes the message, cut short. */
export function apiErrorOf(httpStatus: number, body: string, retryAfterHeader?: string): ApiError {
  const status = statusObject(body);
  const seconds = retryAfterSeconds(retryAfterHeader) ?? status?.details?.retryAfterSeconds;
  const code = status?.code ?? httpStatus;
  return new ApiError(
    code,
    status?.reason || (reasons[code] ?? `Http${code}`),
    status?.message || body.slice(0, 200).trim() || `the API server answered ${httpStatus}`,
    seconds === undefined ? undefined : seconds * 1000,
    (status?.details?.causes ?? []).map((cause) => cause.reason ?? ''),
  );
}

/** The resource version asked for is gone, or was never this server's (etcd restored): only a new list helps. */
export function isExpired(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  if (error.status === 410 || error.reason === 'Expired' || error.reason === 'Gone') return true;
  return isRewound(error);
}

/** The server has not reached the resource version asked for: etcd was restored from a backup. */
export function isRewound(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  return error.causes.includes('ResourceVersionTooLarge') || error.message.startsWith('Too large resource version');
}

export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

export function isConflict(error: unknown): boolean {
  return error instanceof ApiError && error.status === 409;
}

/** Understood, and not possible: an invalid object, or a JSON patch whose test fails. */
export function isUnprocessable(error: unknown): boolean {
  return error instanceof ApiError && error.status === 422;
}

/** The name of what was to be made is taken. */
export function isAlreadyExists(error: unknown): boolean {
  return isConflict(error) && (error as ApiError).reason === 'AlreadyExists';
}

const reasons: Record<number, string> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

function statusObject(body: string): StatusObject | undefined {
  if (!body.startsWith('{')) return undefined;
  try {
    return JSON.parse(body) as StatusObject;
  } catch {
    return undefined;
  }
}

function retryAfterSeconds(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds) && seconds >= 0) return seconds;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}
