import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkThere } from './data.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quintet-mounted-'));
  await writeFile(join(folder, 'june.csv'), 'a\n1\n');
  await writeFile(join(folder, '..data'), '');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const reference = { name: 'readings', path: 'dataset.source.configMap' };

describe('a file that is mounted', () => {
  it('is found', async () => {
    const june = { ...reference, type: 'ConfigMap', mountPath: folder, file: 'june.csv' } as const;
    await expect(checkThere(june)).resolves.toBeUndefined();
  });

  it.each([
    ['ConfigMap', 'july.csv', 'ConfigMap readings has no key july.csv; there is june.csv'],
    ['Claim', 'july.csv', 'PersistentVolumeClaim readings has no file july.csv; there is june.csv'],
    ['Claim', 'summer/july.csv', 'PersistentVolumeClaim readings has no file summer/july.csv; there is none'],
  ] as const)('that a %s lacks is told with what is there instead', async (type, file, message) => {
    const checked = checkThere({ ...reference, type, mountPath: folder, file });
    await expect(checked).rejects.toMatchObject({
      reason: 'DataUnreadable',
      message,
      where: { field: 'spec.dataset.source.configMap' },
      retryable: true,
    });
  });
});
