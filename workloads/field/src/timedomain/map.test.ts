import { describe, expect, it } from 'vitest';
import { readMapArray } from './map.ts';

const metadataOf = (chunk_shape: number[]): object => ({
  zarr_format: 3,
  node_type: 'array',
  shape: [2, 2, 4],
  data_type: 'float32',
  fill_value: 1500,
  chunk_grid: { name: 'regular', configuration: { chunk_shape } },
  chunk_key_encoding: { name: 'default', configuration: { separator: '/' } },
  codecs: [{ name: 'bytes', configuration: { endian: 'little' } }],
});
const filesOf =
  (files: Record<string, Uint8Array>, otherwise = 'ENOENT') =>
  (path: string): Uint8Array => {
    const file = files[path];
    if (!file) throw Object.assign(new Error(`no file ${path}`), { code: otherwise });
    return file;
  };

describe('a map of the medium', () => {
  const chunk = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8).buffer);
  const files = { 'density/zarr.json': Buffer.from(JSON.stringify(metadataOf([2, 2, 2]))), 'density/c/0/0/0': chunk };

  it('is filled where zarr-python leaves out a chunk of fill_value alone', () => {
    const values = readMapArray(filesOf(files), 'density', [2, 2, 4]);
    expect([...values]).toEqual([1, 2, 1500, 1500, 3, 4, 1500, 1500, 5, 6, 1500, 1500, 7, 8, 1500, 1500]);
  });

  it('is not filled where a chunk cannot be read', () => {
    expect(() => readMapArray(filesOf(files, 'EIO'), 'density', [2, 2, 4])).toThrow('no file density/c/0/0/1');
  });

  it('is refused for chunks that are more than memory should hold', () => {
    const huge = { 'density/zarr.json': Buffer.from(JSON.stringify(metadataOf([1024, 1024, 1024]))) };
    expect(() => readMapArray(filesOf(huge), 'density', [2, 2, 4])).toThrow(/at most 67108864 are read at once/);
  });
});
