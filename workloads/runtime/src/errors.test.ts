import { expect, test } from 'vitest';
import { type ErrorCode, type ErrorKind, errorCatalogue, isQuintetError, QuintetError } from './errors.ts';

test.each(Object.entries<ErrorKind>(errorCatalogue))(
  '%s has a status of HTTP, and says when to come back if it is 429',
  (code, kind) => {
    const error = new QuintetError(code as ErrorCode);
    expect(error.status).toBe(kind.status);
    expect(kind.status).toBeGreaterThanOrEqual(400);
    expect(kind.status).toBeLessThan(600);
    expect(error.retryAfter).toBe(kind.status === 429 ? 1 : undefined);
    expect(error.toBody()).toMatchObject({ code });
  },
);

test('an error fills its template, names the field and rounds the wait up to whole seconds', () => {
  const error = new QuintetError('OVERLOADED', { queue: 'infer', waiting: 7, retryAfter: 0.2, field: 'text' });
  expect(error.toBody('r1')).toEqual({
    code: 'OVERLOADED',
    message: 'The queue infer is full (7 waiting).',
    field: 'text',
    fix: 'Wait for Retry-After seconds, or add replicas.',
    retryAfter: 1,
    requestId: 'r1',
  });
});

test('errors of another copy of the package are recognised by their code', () => {
  expect(isQuintetError(Object.assign(new Error('x'), { name: 'QuintetError', code: 'OVERLOADED' }))).toBe(true);
  expect(isQuintetError(Object.assign(new Error('x'), { name: 'QuintetError', code: 'constructor' }))).toBe(false);
  expect(isQuintetError({ code: 'OVERLOADED' })).toBe(false);
});
