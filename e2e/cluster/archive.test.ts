import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { imageArchive, tar } from './archive.ts';

const list = (archive: Buffer) => execFileSync('tar', ['-tvf', '-'], { input: archive, encoding: 'utf8' });
const extract = (archive: Buffer, path: string) =>
  execFileSync('tar', ['-xOf', '-', path], { input: archive, maxBuffer: 1 << 26 });

describe('archives', () => {
  test('tar reads back paths, modes and contents of every length', () => {
    const files = [0, 1, 511, 512, 513].map((length) => ({
      path: `d/file-${length}`,
      content: Buffer.alloc(length, 'x'),
      mode: 0o755,
    }));
    const archive = tar(files);
    expect(list(archive).match(/-rwxr-xr-x/g)).toHaveLength(5);
    for (const { path, content } of files) expect(extract(archive, path)).toEqual(content);
  });

  test('an image names its configuration and layer by their digests', () => {
    const settings = {
      reference: 'localhost/probe:1',
      files: [{ path: 'probe', content: Buffer.from('binary'), mode: 0o755 }],
      entrypoint: ['/probe'],
    };
    const archive = imageArchive(settings);
    const [manifest] = JSON.parse(extract(archive, 'manifest.json').toString());
    expect(manifest.RepoTags).toEqual(['localhost/probe:1']);
    const config = extract(archive, manifest.Config);
    expect(manifest.Config).toBe(`${createHash('sha256').update(config).digest('hex')}.json`);
    const layer = createHash('sha256').update(extract(archive, manifest.Layers[0])).digest('hex');
    expect(JSON.parse(config.toString())).toMatchObject({
      config: { Entrypoint: ['/probe'] },
      rootfs: { diff_ids: [`sha256:${layer}`] },
    });
    expect(imageArchive(settings)).toEqual(archive);
  });

  test('a path that the format cannot hold is refused', () => {
    expect(() => tar([{ path: 'p'.repeat(101), content: Buffer.alloc(0) }])).toThrow('path too long');
  });
});
