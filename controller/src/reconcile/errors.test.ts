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
  const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'plan' } };
  const invalid = refusalOf(apiErrorOf(422, status(422, 'Invalid', 'spec.x: is immutable')), job);
  expect(invalid).toBeInstanceOf(BlockedError);
  expect(invalid).toMatchObject({ reason: 'ChildRefused', message: 'Job "plan" is refused: spec.x: is immutable' });
  const message = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no";
  const denied = apiErrorOf(422, status(422, 'Invalid', message));
  expect(refusalOf(denied, job)).toBe(denied);
});

test('an image as a volume on a cluster without such is told by the field of the spec that asks for it', () => {
  const volumes = [
    { name: 'resource', configMap: { name: 'x' } },
    { name: 'image-0', image: { reference: 'example.test/minilm:1' } },
  ];
  const mounts = volumes.map(({ name }) => ({ name, mountPath: `/elsewhere/${name}` }));
  const [, mount] = mounts as [object, { mountPath: string }];
  mount.mountPath = '/var/lib/quintet/images/embedding.source.oci';
  const metadata = { name: 'web' };
  const spec = { template: { spec: { volumes, containers: [{ volumeMounts: mounts }] } } };
  const child = { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec };
  const refusal = (index: number) => {
    const reason = `spec.template.spec.volumes[${index}]: Required value: must specify a volume type`;
    return refusalOf(apiErrorOf(422, status(422, 'Invalid', `Deployment.apps "web" is invalid: ${reason}`)), child);
  };
  expect(refusal(1)).toMatchObject({
    reason: 'ImageVolumesMissing',
    message: expect.stringMatching(/^spec\.embedding\.source\.oci: this cluster has no image volumes .* instead$/),
  });
  expect(refusal(0)).toMatchObject({ reason: 'ChildRefused' });
});
