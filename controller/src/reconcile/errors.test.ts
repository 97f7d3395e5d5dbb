import { expect, test } from 'vitest';
import { apiErrorOf } from '../kube/errors.ts';
import { BlockedError, NameConflictError, refusalOf, reportFailure } from './errors.ts';

const status = (code: number, reason: string, message: string, causes: string[] = []): string =>
  JSON.stringify({
    kind: 'Status',
    code,
    reason,
    message,
    details: { causes: causes.map((cause) => ({ reason: cause })) },
  });

test.each([
  ['a quota', 403, status(403, 'Forbidden', 'pods "x" is forbidden: exceeded quota: team-a'), 'QuotaExceeded', false],
  [
    'a webhook that refuses',
    400,
    status(400, 'BadRequest', 'admission webhook "v.example.com" denied the request: no'),
    'AdmissionDenied',
    false,
  ],
  [
    'a policy that refuses',
    422,
    status(422, 'Invalid', "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"),
    'AdmissionDenied',
    false,
  ],
  [
    'a webhook that is down',
    500,
    status(500, 'InternalError', 'failed calling webhook "v": timeout'),
    'WebhookUnavailable',
    true,
  ],
  [
    'a namespace that goes',
    403,
    status(403, 'Forbidden', 'being terminated', ['NamespaceTerminating']),
    'NamespaceTerminating',
    false,
  ],
  ['a missing right', 403, status(403, 'Forbidden', 'cannot patch'), 'Forbidden', false],
  ['an invalid child', 422, status(422, 'Invalid', 'spec.x'), 'Invalid', false],
  ['throttling', 429, status(429, 'TooManyRequests', 'later'), 'TooManyRequests', true],
  ['a page of a proxy', 502, '<html>', 'Http502', true],
])('%s is named', (_name, code, body, wantReason, wantTransient) => {
  expect(reportFailure(apiErrorOf(code, body))).toMatchObject({ reason: wantReason, transient: wantTransient });
});

test('a name conflict says whose the object is and what to do', () => {
  expect(new NameConflictError('Service', 'web', undefined).message).toBe(
    'Service "web" was made by somebody else; delete or rename it, or rename this resource',
  );
  expect(new NameConflictError('Service', 'web', 'Gateway "g"').message).toContain('belongs to Gateway "g"');
});

test('only a child that no retry makes valid is told as refused', () => {
  const invalid = refusalOf(apiErrorOf(422, status(422, 'Invalid', 'spec.x: is immutable')), 'Job', 'plan');
  expect(invalid).toBeInstanceOf(BlockedError);
  expect(invalid).toMatchObject({ reason: 'ChildRefused', message: 'Job "plan" is refused: spec.x: is immutable' });
  const message = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no";
  const denied = apiErrorOf(422, status(422, 'Invalid', message));
  expect(refusalOf(denied, 'Job', 'plan')).toBe(denied);
});
