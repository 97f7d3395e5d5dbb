// What compression refuses, and which field of the request it is about.

export class CompressionError extends Error {
  /** Stable; callers decide by it. */
  readonly code: string;
  readonly field: string;

  constructor(code: string, field: string, message: string) {
    super(message);
    this.name = 'CompressionError';
    this.code = code;
    this.field = field;
  }
}
