// What the matcher refuses, each with a stable code, the HTTP status it becomes, and what to do about it.
const catalogue = {
  ImageUnreadable: 422,
  ImageTooLarge: 413,
  ImageUnsupported: 415,
  ImageTimeout: 422,
  QueryEmpty: 400,
  HashInvalid: 400,
  ItemInvalid: 400,
  ItemUnknown: 404,
  ItemExists: 409,
  BankUnknown: 404,
  BankInvalid: 400,
  FeedInvalid: 400,
  RecordUnavailable: 503,
  ShardMissing: 503,
} as const;

export type MatcherErrorCode = keyof typeof catalogue;

export class MatcherError extends Error {
  readonly code: MatcherErrorCode;
  readonly statusCode: number;

  constructor(code: MatcherErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MatcherError';
    this.code = code;
    this.statusCode = catalogue[code];
  }
}
