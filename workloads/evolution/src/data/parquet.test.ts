import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { threeRows } from './fixtures/threeRows.ts';
import { readTable } from './table.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quintet-parquet-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function tableIn(bytes: Uint8Array) {
  const path = join(folder, 'data.parquet');
  await writeFile(path, bytes);
  return readTable(path, { format: 'Parquet' });
}

function changed(change: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(threeRows);
  change(bytes);
  return bytes;
}

describe('a Parquet file', () => {
  it('becomes typed columns', async () => {
    const { rows, columns } = await tableIn(threeRows);
    expect(rows).toBe(3);
    expect(columns).toEqual([
      { name: 'n', type: 'Numeric', values: Float32Array.of(1.5, Number.NaN, 3) },
      { name: 'big', type: 'Numeric', values: Float64Array.of(1, 2, 2 ** 40) },
      { name: 'word', type: 'Categorical', codes: Int32Array.of(0, 1, -1), levels: ['a', 'é'] },
      { name: 'when', type: 'DateTime', values: Float64Array.of(0, 86_400, Number.NaN) },
      { name: 'flag', type: 'Categorical', codes: Int32Array.of(0, 1, -1), levels: ['true', 'false'] },
    ]);
  });

  const bad: Record<string, [bytes: Uint8Array, reason: string, message: RegExp]> = {
    'that is cut off': [threeRows.subarray(0, 500), 'DataDamaged', /no readable footer .*; it may be cut off/],
    'of no bytes': [new Uint8Array(0), 'DataDamaged', /has 0 bytes, too few/],
    'with damaged pages': [
      changed((bytes) => bytes.fill(0xff, 8, 200)),
      'DataDamaged',
      /rows 1 to 3 cannot be read .*damaged: upload it again/,
    ],
    'whose footer claims rows that it lacks': [
      // The number of rows of its one row group, zigzag: 3 becomes 5.
      changed((bytes) => (bytes[bytes.length - 67] = 10)),
      'DataDamaged',
      /rows 1 to 5 cannot be read \(column n has 3 cells\)/,
    ],
    'with a NUL byte in a word': [
      changed((bytes) => (bytes[bytes.indexOf('a\x02\0\0\0é', 'utf8')] = 0)),
      'DataInvalid',
      /column word, row 1: a NUL byte/,
    ],
    'that is CSV': [Buffer.from('a,b\n1,2\n3,4\n5,6\n'), 'DataDamaged', /no readable footer/],
  };
  for (const [what, [bytes, reason, message]] of Object.entries(bad)) {
    it(`${what} is refused by place`, async () => {
      await expect(tableIn(bytes)).rejects.toMatchObject({
        reason,
        message: expect.stringMatching(message) as string,
      });
    });
  }
});
