// The one catalogue of errors: stable code, HTTP status, message template and what to do. Clients match on `code`, never on text.

/** `{name}` in a message or fix is replaced by the detail of that name. `retryable`: the same request may succeed later. */
export interface ErrorKind {
  readonly status: number;
  readonly message: string;
  readonly fix?: string;
  readonly retryable?: true;
}

export const errorCatalogue = {
  INVALID_REQUEST: {
    status: 400,
    message: 'The request is not valid: {reason}',
    fix: 'Correct the named field; /openapi.json describes it.',
  },
  MALFORMED_BODY: {
    status: 400,
    message: 'The body cannot be read: {reason}',
    fix: 'Send well-formed JSON with content-type application/json.',
  },
  UNAUTHENTICATED: {
    status: 401,
    message: 'A valid bearer token is required.',
    fix: 'Send Authorization: Bearer <token> with a token of the mounted Secret.',
  },
  TOKENS_NOT_CONFIGURED: {
    status: 401,
    message: 'This is for a token of the tenant _admin, and nobody has one here.',
    fix: 'Name a Secret that has the key _admin under auth in the resource (of an EvolutionRun spec.promotion.serving.auth).',
  },
  FORBIDDEN: { status: 403, message: 'This token may not do that: {reason}', fix: 'Use a token of the tenant _admin.' },
  NOT_FOUND: { status: 404, message: '{what} does not exist.' },
  METHOD_NOT_ALLOWED: { status: 405, message: '{method} is not allowed here.' },
  REQUEST_TIMEOUT: { status: 408, message: 'The request did not arrive in time.', retryable: true },
  CONFLICT: { status: 409, message: '{reason}' },
  BODY_TOO_LARGE: {
    status: 413,
    message: 'The body is larger than {limit} bytes.',
    fix: 'Send less at once, or raise server.bodyLimit.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    message: 'Content type {type} is not supported.',
    fix: 'Send application/json.',
  },
  UNPROCESSABLE: { status: 422, message: '{reason}' },
  RATE_LIMITED: {
    status: 429,
    message: 'Too many requests: at most {limit} in {window} s.',
    fix: 'Wait for Retry-After seconds.',
    retryable: true,
  },
  CLIENT_BLOCKED: {
    status: 429,
    message: 'This client is blocked for {seconds} s after too many requests.',
    fix: 'Wait for Retry-After seconds.',
    retryable: true,
  },
  QUOTA_EXCEEDED: {
    status: 429,
    message: 'Tenant {tenant} has {left} of its {limit} {quota} left, and this asks for {asked}.',
    fix: 'Wait for Retry-After seconds, or raise the quota of this tenant.',
    retryable: true,
  },
  CONCURRENCY_LIMITED: {
    status: 429,
    message: 'This replica already works on {limit} requests.',
    fix: 'Wait for Retry-After seconds, or raise rateLimits.maxConcurrent.',
    retryable: true,
  },
  TENANT_QUEUE_FULL: {
    status: 429,
    message: 'Tenant {tenant} already has {waiting} requests waiting.',
    fix: 'Wait for Retry-After seconds.',
    retryable: true,
  },
  CANCELLED: { status: 499, message: 'The client went away before the answer was ready.' },
  INTERNAL: { status: 500, message: 'Something went wrong on our side; the log has request {requestId}.' },
  WORKER_FAILED: {
    status: 500,
    message: 'A worker thread ended during the work: {reason}',
    fix: 'If memory ran out, raise the memory limit or send less at once.',
  },
  NOT_READY: { status: 503, message: 'Not ready: {reason}', retryable: true },
  DRAINING: {
    status: 503,
    message: 'This replica is shutting down.',
    fix: 'Repeat the request: another replica takes it.',
    retryable: true,
  },
  OVERLOADED: {
    status: 503,
    message: 'The queue {queue} is full ({waiting} waiting).',
    fix: 'Wait for Retry-After seconds, or add replicas.',
    retryable: true,
  },
  DEADLINE_UNREACHABLE: {
    status: 503,
    message: 'The queue {queue} would take {wait} ms, longer than the deadline of the request.',
    fix: 'Allow more time, or add replicas.',
    retryable: true,
  },
  DEPENDENCY_UNAVAILABLE: { status: 503, message: '{dependency} does not answer: {reason}', retryable: true },
  DEADLINE_EXCEEDED: {
    status: 504,
    message: 'The deadline of the request passed before the answer was ready.',
    retryable: true,
  },
  CONFIG_INVALID: {
    status: 500,
    message: 'The configuration is not valid: {reason}',
    fix: 'Correct {field} in {source}.',
  },
  MODEL_MISSING: {
    status: 503,
    message: 'Model {uri} cannot be read: {reason}',
    fix: 'Check the model source in the resource, and the file that it names.',
  },
  MODEL_INVALID: {
    status: 503,
    message: 'The model cannot be used: {reason}',
    fix: 'Mount an ONNX file that takes and gives what the documentation says.',
  },
  MODEL_DAMAGED: {
    status: 503,
    message: 'Model {uri} is damaged: SHA-256 is {actual}, not {expected}.',
    fix: 'Upload the file again, or correct sha256.',
  },
  GPU_REQUIRED: {
    status: 503,
    message: 'A GPU is required and none can be used: {reason}',
    fix: 'Schedule on a GPU node, or set the policy to Preferred.',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorCatalogue;

/** Values for the template; `field` (dotted path) and `retryAfter` (seconds) are also sent on their own. */
export interface ErrorDetails {
  field?: string | undefined;
  retryAfter?: number | undefined;
  [name: string]: unknown;
}

/** What a client gets, under `error`. */
export interface ErrorBody {
  code: string;
  message: string;
  field?: string;
  fix?: string;
  retryAfter?: number;
  requestId?: string;
}

/** An error of the catalogue. Across packages match `error.code`, not the class. */
export class QuintetError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly field: string | undefined;
  readonly fix: string | undefined;
  /** Whole seconds for `Retry-After`; set for every 429, and for a 503 where an estimate exists. */
  readonly retryAfter: number | undefined;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, details: ErrorDetails = {}, options?: { cause?: unknown }) {
    const kind: ErrorKind = errorCatalogue[code];
    super(fill(kind.message, details), options);
    this.name = 'QuintetError';
    this.code = code;
    this.status = kind.status;
    this.field = details.field;
    this.fix = kind.fix === undefined ? undefined : fill(kind.fix, details);
    this.retryAfter = retryAfterOf(kind, details.retryAfter);
    this.details = details;
  }

  toBody(requestId?: string): ErrorBody {
    return {
      code: this.code,
      message: this.message,
      ...(this.field === undefined ? {} : { field: this.field }),
      ...(this.fix === undefined ? {} : { fix: this.fix }),
      ...(this.retryAfter === undefined ? {} : { retryAfter: this.retryAfter }),
      ...(requestId === undefined ? {} : { requestId }),
    };
  }
}

/** True for an error of the catalogue, also one made by another copy of this package. */
export function isQuintetError(error: unknown): error is QuintetError {
  const code = (error as { code?: unknown } | null)?.code;
  return (
    error instanceof Error &&
    error.name === 'QuintetError' &&
    typeof code === 'string' &&
    Object.hasOwn(errorCatalogue, code)
  );
}

function retryAfterOf(kind: ErrorKind, seconds: number | undefined): number | undefined {
  if (seconds !== undefined && Number.isFinite(seconds)) return Math.max(1, Math.ceil(seconds));
  return kind.status === 429 ? 1 : undefined;
}

function fill(template: string, details: ErrorDetails): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = details[name];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : whole;
  });
}
