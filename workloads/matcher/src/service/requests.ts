// What a request says: who makes it, and a body that is as described.
import { type Identity, QuintetError } from '@quintet/runtime';
import type { z } from 'zod';
import type { Actor } from '../record/record.ts';

export function actorOf({ tenant, client }: Identity): Actor {
  return { tenant, name: client };
}

/** Strict, with the runtime's error for a field that is not as described. */
export function parse<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [first] = result.error.issues;
  const field = first?.path.join('.') ?? '';
  throw new QuintetError('INVALID_REQUEST', {
    reason: `${field || 'the body'}: ${first?.message ?? 'not as described'}`,
    field,
  });
}
