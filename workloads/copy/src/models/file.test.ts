import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from '@quintet/runtime';
import { afterAll, expect, test } from 'vitest';
import { openModelFile } from './file.ts';

const folder = mkdtempSync(join(tmpdir(), 'quintet-file-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const open = (source: Parameters<typeof openModelFile>[0]['source'], more: object = {}) =>
  openModelFile({
    source,
    at: 'model.source',
    directory: join(folder, 'cache'),
    registry: new Registry(),
    signal: new AbortController().signal,
    onProgress: () => undefined,
    claims: join(folder, 'claims'),
    images: join(folder, 'images'),
    ...more,
  });

test('a model lies on a claim, or in an image, which is mounted by where the spec names it', async () => {
  const places = { claims: 'claims/models', images: 'images/model.source.oci/weights' };
  for (const place of Object.values(places)) {
    mkdirSync(join(folder, place), { recursive: true });
    writeFileSync(join(folder, place, 'copy.gguf'), place);
  }
  const claimed = await open({ persistentVolumeClaim: { claimName: 'models', path: 'copy.gguf' } });
  expect(claimed).toMatchObject({ path: join(folder, places.claims, 'copy.gguf'), size: places.claims.length });
  const oci = { image: 'registry.example.com/models/copy:1', path: 'weights/copy.gguf' };
  const sha256 = createHash('sha256').update(places.images).digest('hex');
  const path = join(folder, places.images, 'copy.gguf');
  expect(await open({ oci }, { sha256 })).toMatchObject({ path, digest: sha256 });
  expect(await open({ oci: { ...oci, path: 'weights' } }, { inFolder: ['none', 'copy.gguf'] })).toMatchObject({ path });
});

test('files of images that bear one size and one time are told apart by what is in them', async () => {
  const weights = join(folder, 'images/model.source.oci/same');
  mkdirSync(weights, { recursive: true });
  const oci = { image: 'registry.example.com/models/copy:1', path: 'same/copy.gguf' };
  const digests = [];
  for (const content of ['old weights', 'new weights']) {
    writeFileSync(join(weights, 'copy.gguf'), content);
    utimesSync(join(weights, 'copy.gguf'), 0, 0);
    digests.push((await open({ oci })).digest);
  }
  expect(digests).toEqual(
    ['old weights', 'new weights'].map((each) => createHash('sha256').update(each).digest('hex')),
  );
});

test('a model that is missing or damaged is refused with what is wrong', async () => {
  const oci = { image: 'registry.example.com/models/copy:1', path: 'weights/copy.gguf' };
  await expect(open({ oci }, { sha256: '0'.repeat(64) })).rejects.toMatchObject({ code: 'MODEL_DAMAGED' });
  await expect(open({ oci: { ...oci, path: 'none' } })).rejects.toMatchObject({ code: 'MODEL_MISSING' });
  const absent = { claimName: '.', path: './absent.gguf' };
  await expect(open({ persistentVolumeClaim: absent })).rejects.toThrow(
    `Model ${join(folder, 'claims/absent.gguf')} cannot be read: there is no such file (ENOENT)`,
  );
  await expect(open({})).rejects.toMatchObject({ code: 'MODEL_MISSING', details: { field: 'model.source' } });
});
