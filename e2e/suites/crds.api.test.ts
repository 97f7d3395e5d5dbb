// The CRDs on a real API server: it takes them, and agrees with zod on every fixture: accepted or refused, the field named, the defaults.
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { apiVersion, category, kinds, validate } from '@quintet/crds';
import { fixtures } from '@quintet/crds/fixtures';
import { parseUserFile } from '@quintet/crds/userfile';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ApiCluster, startApi } from '../cluster/api.ts';
import { run } from '../cluster/command.ts';
import { Kubectl } from '../kubectl.ts';
import { areServed } from './definitions.ts';

const repository = join(import.meta.dirname, '..', '..');
const manifests = join(repository, 'crds', 'manifests');
const samples = join(repository, 'docs', 'samples');

let api: ApiCluster;
let post: (path: string, object: unknown) => Promise<Answer>;

beforeAll(async () => {
  api = await startApi();
  post = poster(api);
  await kubectl('apply', '--server-side', '-f', manifests);
  await areServed(new Kubectl(api));
});
afterAll(() => api.stop());

test('the server finds nothing wrong with any schema', async () => {
  const { items } = JSON.parse(await kubectl('get', 'crd', '-o', 'json')) as CrdList;
  expect(items.map(({ metadata }) => metadata.name).sort()).toEqual(
    kinds.map(({ plural, group }) => `${plural}.${group}`).sort(),
  );
  for (const { status } of items) {
    expect(
      status.conditions.filter(
        ({ type }) => type === 'NonStructuralSchema' || type === 'KubernetesAPIApprovalPolicyConformant',
      ),
    ).toEqual([]);
  }
});

test('a client-side apply fits into its annotation', async () => {
  const applied = (await kubectl('apply', '-f', manifests)).trim().split('\n');
  expect(applied).toHaveLength(kinds.length);
});

test('the category, short names, status and scale are served', async () => {
  const served = await kubectl('api-resources', '--categories', category, '-o', 'name');
  expect(served.trim().split('\n').sort()).toEqual(kinds.map(({ plural, group }) => `${plural}.${group}`).sort());
  for (const { shortNames, plural } of kinds) {
    for (const shortName of shortNames) {
      expect(await kubectl('get', shortName)).toBe('');
      expect(await kubectl('explain', `${shortName}.spec`)).toContain('FIELDS');
    }
    const { resources } = JSON.parse(await kubectl('get', '--raw', `/apis/${apiVersion}`)) as {
      resources: { name: string }[];
    };
    const names = resources.map(({ name }) => name);
    expect(names).toContain(`${plural}/status`);
    expect(names.includes(`${plural}/scale`)).toBe(plural !== 'evolutionruns');
  }
});

describe.each(kinds.map((definition) => ({ kind: definition.kind, definition })))('$kind', ({ kind, definition }) => {
  const path = `/apis/${apiVersion}/namespaces/default/${definition.plural}?dryRun=All&fieldValidation=Strict`;
  const table = Object.entries(fixtures[kind]).map(([title, fixture]) => ({ title, ...fixture }));

  test.each(table.filter(({ refused }) => refused === undefined))(
    'accepts, with the defaults of zod: $title',
    async ({ name = 'fixture', spec }) => {
      const object = { apiVersion, kind, metadata: { name }, spec };
      const { code, body } = await post(path, object);
      expect({ code, message: body.message }).toEqual({ code: 201 });
      expect(body.spec).toEqual(validate(definition, object).resource?.spec);
    },
  );

  test.each(table.filter(({ refused }) => refused !== undefined))(
    'refuses, and names the field: $title',
    async ({ name = 'fixture', spec, refused }) => {
      const { code, body } = await post(path, { apiVersion, kind, metadata: { name }, spec });
      expect([400, 422]).toContain(code);
      expect(body.message).toContain(refused);
    },
  );
});

describe('a sample', () => {
  test.each(readdirSync(samples).filter((file) => file.endsWith('.yaml')))(
    '%s is read strictly and accepted by the server',
    async (file) => {
      expect(parseUserFile(readFileSync(join(samples, file), 'utf8'), file).length).toBeGreaterThan(0);
      await kubectl('apply', '--dry-run=server', '--validate=strict', '-f', join(samples, file));
    },
  );

  test('of every kind is there', () => {
    const found = readdirSync(samples)
      .filter((file) => file.endsWith('.yaml'))
      .flatMap((file) => parseUserFile(readFileSync(join(samples, file), 'utf8'), file).map(({ kind }) => kind));
    expect(new Set(found)).toEqual(new Set(kinds.map(({ kind }) => kind)));
  });
});

describe('a stored resource', () => {
  test('shows its columns, and its replicas are set by /scale', async () => {
    await kubectl('create', 'namespace', 'stored');
    const object = { apiVersion, kind: 'CompressionService', metadata: { name: 'notes' }, spec: {} };
    const { code } = await post(`/apis/${apiVersion}/namespaces/stored/compressionservices`, object);
    expect(code).toBe(201);
    await kubectl('scale', 'cmp/notes', '-n', 'stored', '--replicas=3');
    expect(await kubectl('get', 'cmp/notes', '-n', 'stored', '-o', 'jsonpath={.spec.replicas}')).toBe('3');
    const status = {
      replicas: 3,
      phase: 'Ready',
      traffic: { requestsPerSecond: '212', latencyP95: '38ms', cacheHitRate: '0.91' },
    };
    await kubectl(
      'patch',
      'cmp/notes',
      '-n',
      'stored',
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ status }),
    );
    const [header = '', row = ''] = (await kubectl('get', 'cmp', '-n', 'stored')).trim().split('\n');
    expect(header.split(/\s+/)).toEqual(['NAME', 'STATUS', 'REPLICAS', 'RPS', 'P95', 'HIT', 'AGE']);
    expect(row.split(/\s+/).slice(0, 6)).toEqual(['notes', 'Ready', '3', '212', '38ms', '0.91']);
  });

  test('keeps of its claim what a claim keeps; it may grow', async () => {
    const smallest = fixtures.FieldJob['the shortest job takes defaults for everything else']?.spec as object;
    const claimed = (template: object) => {
      const spec = { ...smallest, output: { volumeClaimTemplate: template } };
      return JSON.stringify({ apiVersion, kind: 'FieldJob', metadata: { name: 'claimed', namespace: 'stored' }, spec });
    };
    const first = { storageClassName: 'fast', accessModes: ['ReadWriteOnce', 'ReadWriteMany'], storage: '1Gi' };
    const apply = (template: object) =>
      run(api.kubectl, ['--kubeconfig', api.kubeconfig, 'apply', '--server-side', '-f', '-'], {
        input: claimed({ ...first, ...template }),
      });
    await apply({});
    await apply({ storage: '2Gi', accessModes: ['ReadWriteMany', 'ReadWriteOnce'], reclaimPolicy: 'Delete' });
    for (const [field, value] of Object.entries({
      storageClassName: 'slow',
      accessModes: ['ReadWriteOnce'],
      storage: '1.9Gi',
    })) {
      await expect(apply({ storage: '2Gi', [field]: value })).rejects.toThrow(`volumeClaimTemplate.${field}`);
    }
    await expect(apply({ storage: '2Gi', storageClassName: undefined })).rejects.toThrow('a claim keeps its class');
  });

  test('of a batch has no scale', async () => {
    const spec = fixtures.FieldJob['the shortest job takes defaults for everything else']?.spec;
    const object = { apiVersion, kind: 'FieldJob', metadata: { name: 'bead' }, spec };
    expect((await post(`/apis/${apiVersion}/namespaces/stored/fieldjobs`, object)).code).toBe(201);
    await expect(kubectl('scale', 'fj/bead', '-n', 'stored', '--replicas=3')).rejects.toThrow('replicas');
  });
});

interface CrdList {
  items: { metadata: { name: string }; status: { conditions: { type: string; status: string; message: string }[] } }[];
}

interface Answer {
  code: number;
  body: { message?: string; spec?: unknown };
}

const kubectl = (...args: string[]): Promise<string> => run(api.kubectl, ['--kubeconfig', api.kubeconfig, ...args]);

/** POSTs with the administrator's certificate. */
function poster({ server, caPath, certPath, keyPath }: ApiCluster): typeof post {
  const tls = { ca: readFileSync(caPath), cert: readFileSync(certPath), key: readFileSync(keyPath) };
  return (path, object) =>
    new Promise((resolve, reject) => {
      const call = request(
        new URL(path, server),
        { ...tls, method: 'POST', timeout: 30_000, headers: { 'content-type': 'application/json' } },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () => {
            resolve({
              code: response.statusCode ?? 0,
              body: JSON.parse(Buffer.concat(chunks).toString()) as Answer['body'],
            });
          });
          response.on('error', reject);
        },
      );
      call.on('timeout', () => call.destroy(new Error(`no answer from ${server} within 30s`)));
      call.on('error', reject);
      call.end(JSON.stringify(object));
    });
}
