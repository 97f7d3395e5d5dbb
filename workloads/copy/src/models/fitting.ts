// What of a prompt is read: all of it, or its end where it leaves no room for the answer and may be cut.
import { QuintetError } from '@quintet/runtime';
import type { TextRequest } from './model.ts';

/** The prompt as it will be read. Throws `INVALID_REQUEST` when it leaves no room and may not be cut. */
export function fitted<T>(tokens: readonly T[], request: TextRequest, contextSize: number): readonly T[] {
  const room = contextSize - request.maxTokens;
  if (room < 1) {
    const reason = `max_tokens is ${request.maxTokens}; prompt and answer together have at most ${contextSize} tokens`;
    throw new QuintetError('INVALID_REQUEST', { field: 'max_tokens', reason });
  }
  if (tokens.length <= room) return tokens;
  if (request.overflow === 'Truncate') return tokens.slice(-room);
  throw new QuintetError('INVALID_REQUEST', {
    field: 'messages' in request.prompt ? 'messages' : 'prompt',
    reason: `the prompt has ${tokens.length} tokens and max_tokens is ${request.maxTokens}; together at most ${contextSize}`,
  });
}

export function throwIfGone(signal: AbortSignal): void {
  if (signal.aborted) throw signal.reason instanceof Error ? signal.reason : new QuintetError('CANCELLED');
}
