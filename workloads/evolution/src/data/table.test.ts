import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { secondsIn } from './columns.ts';
import { readCsv } from './csv.ts';
import { readTable, readTableText } from './table.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quintet-table-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileOf(content: string | Uint8Array, name = 'data.csv'): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

describe('a CSV file', () => {
  it('becomes typed columns', async () => {
    const table = await readTableText('a;when;who\n1;2024-01-02;x\nNA;2024-01-03T06:00Z;"y;1"\n-2.5e3;;x\n', {});
    expect(table.rows).toBe(3);
    const [a, when, who] = table.columns;
    expect(a).toMatchObject({ type: 'Numeric', values: Float32Array.of(1, Number.NaN, -2500) });
    expect(when).toMatchObject({ type: 'DateTime', values: Float64Array.of(1_704_153_600, 1_704_261_600, Number.NaN) });
    expect(who).toMatchObject({ type: 'Categorical', codes: Int32Array.of(0, 1, 0), levels: ['x', 'y;1'] });
  });

  it('gives back any fields that were quoted, however the bytes are cut', async () => {
    const text = fc.stringMatching(/^[ -~é€\n"]{0,8}$/);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 50 }),
        async (rows, size) => {
          const bytes = new TextEncoder().encode(
            rows.map((row) => row.map((field) => `"${field.replaceAll('"', '""')}"`).join(',')).join('\r\n'),
          );
          const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
            bytes.subarray(i * size, (i + 1) * size),
          );
          const seen: string[][] = [];
          await readCsv(chunks, ({ fields }) => seen.push(fields));
          expect(seen).toEqual(rows);
        },
      ),
      { numRuns: 200 },
    );
  });

  const bad: Record<string, [content: string | Uint8Array, message: RegExp]> = {
    'no bytes': ['', /the file is empty/],
    'only a header': ['a,b\n', /a header and no rows/],
    'two columns of one name': ['a,b,a\n1,2,3\n', /columns 1 and 3 are both called a/],
    'a column without a name': ['a,,c\n1,2,3\n', /column 2 has no name/],
    'a short row': ['a,b\n1,2\n3\n', /row 3: 1 fields where the header has 2/],
    'a quote that is not closed': ['a,b\n1,"2\n', /line 2: a quote that is not closed/],
    'a quote that nothing closes in megabytes': [
      `a,b\n1,2\n3,"${'x,4\n'.repeat(1 << 20)}`,
      /^line 3: a record of more/,
    ],
    'a quote in the header that is not closed': ['"a,b\n1,2\n', /line 1: a quote that is not closed/],
    'a NUL byte': ['a,b\n1,"2\n"\n3,4\0\n', /line 4: a NUL byte/],
    'a hundred thousand columns': [`${'c,'.repeat(99_999)}c\n`, /header: 100000 columns are more than 20000/],
    'carriage returns alone': ['a,b\r1,2\r', /carriage returns alone; save the file with line feeds/],
    'text after a quote': ['a,b\n1,"2"x\n', /line 2: text after the closing quote of field 2/],
    'Latin-1 bytes': [Buffer.from('a,b\n1,2\n1,caf\xe9\n', 'latin1'), /line 3: not UTF-8/],
    'Latin-1 bytes from the header on': [Buffer.from('caf\xe9,b\n1,2\n1,\xe9\n', 'latin1'), /line 1: not UTF-8/],
    'Latin-1 bytes at the end': [Buffer.from('a,b\n1,2\n1,caf\xe9', 'latin1'), /line 3: not UTF-8/],
    'UTF-16 without a mark, big end first': [Buffer.from('a,b\n1,2\n', 'utf16le').swap16(), /line 1: a NUL byte/],
    'UTF-16': [Buffer.from('\uFEFFa,b\n1,2\n', 'utf16le'), /UTF-16/],
    gzip: [Uint8Array.of(0x1f, 0x8b, 8, 0), /compressed/],
    Parquet: ['PAR1xxxx', /is Parquet, not CSV/],
  };
  for (const [what, [content, message]] of Object.entries(bad)) {
    it(`with ${what} is refused by name and place`, async () => {
      await expect(readTable(await fileOf(content), { format: 'CSV' })).rejects.toThrow(message);
    });
  }

  it('may begin with an index, as pandas writes it: a column without a name', async () => {
    const rows = Array.from({ length: 5 }, (_, i) => `${i},${i % 3},${i % 2}`).join('\n');
    const names = (table: { columns: readonly { name: string }[] }) => table.columns.map((column) => column.name);
    const table = await readTableText(`,a,y\n${rows}\n`, {});
    expect(names(table)).toEqual(['a', 'y']);
    const text = 'left out: a first column without a name is an index; name it to learn from it';
    expect(table.notes).toEqual([{ column: 'Unnamed: 0', row: 1, text }]);
    await expect(readTableText(`,Unnamed: 0,y\n${rows}\n`, {})).rejects.toThrow('column 1 has no name');
  });

  it('with commas in numbers says so, and by what row', async () => {
    const { notes } = await readTableText('a;b;y\n7;x;1\n1234,56;1,5;0\n-0,5;y;1\n', {});
    const text = 'taken as categories because its numbers have commas, such as “1234,56”; write them as 1234.56';
    expect(notes).toEqual([{ column: 'a', row: 3, text }]);
  });

  it('may start with a byte order mark', async () => {
    const table = await readTable(await fileOf('\uFEFFa,b\n1,2\n'), { format: 'CSV' });
    expect(table.columns.map((column) => column.name)).toEqual(['a', 'b']);
  });

  it('of more than maxSize is refused', async () => {
    await expect(readTable(await fileOf('a\n1\n2\n'), { format: 'CSV', maxSize: 3 })).rejects.toThrow(
      /6 bytes, more than 3/,
    );
  });

  it('without quotes is searched for them once a chunk, not once a record', async () => {
    const search = vi.spyOn(String.prototype, 'indexOf');
    try {
      const records: string[][] = [];
      const text = `a,b\n${'1,2\n'.repeat(5000)}`;
      await readCsv([new TextEncoder().encode(text)], ({ fields }) => records.push(fields));
      expect(records).toHaveLength(5001);
      expect(search.mock.calls.filter(([what]) => what === '"').length).toBeLessThan(10);
    } finally {
      search.mockRestore();
    }
  });

  it('that is not there is refused as unreadable', async () => {
    await expect(readTable(join(folder, 'none.csv'), { format: 'CSV' })).rejects.toMatchObject({
      reason: 'DataUnreadable',
    });
  });

  it('tells of infinities and mixed columns by row', async () => {
    const table = await readTableText(`a,b\n${'1,1\n'.repeat(9)}inf,oops\n`, {});
    expect(table.notes).toEqual([
      { column: 'b', row: 11, text: expect.stringContaining('such as “oops”') },
      { column: 'a', row: 11, text: 'infinite values, or beyond 3.4e38, are taken as missing' },
    ]);
  });

  it('takes columns that are called like members of every object for what they hold', async () => {
    const { columns } = await readTableText('toString,__proto__,constructor\nn,1,x\nm,2,y\nn,3,x\n', {
      types: Object.fromEntries([['__proto__', 'Categorical']]),
    });
    expect(columns.map(({ name, type }) => [name, type])).toEqual([
      ['toString', 'Categorical'],
      ['__proto__', 'Categorical'],
      ['constructor', 'Categorical'],
    ]);
  });

  it('names the cell that contradicts a declared type', async () => {
    await expect(readTableText('a\n1\nx\n', { types: { a: 'Numeric' } })).rejects.toMatchObject({
      where: { column: 'a', row: 3 },
    });
  });

  it('keeps double precision of what is named, single of the rest', async () => {
    const { columns } = await readTableText('a,y\n0.1,0.1\n', { exact: ['y'] });
    expect(columns.map((column) => 'values' in column && column.values)).toEqual([
      Float32Array.of(0.1),
      Float64Array.of(0.1),
    ]);
  });

  it('keeps of free text only how long it is', async () => {
    const { columns } = await readTableText('a\nso it goes\n\nNA\n', { types: { a: 'Text' } });
    const [characters, words] = [Float32Array.of(10, Number.NaN), Float32Array.of(3, Number.NaN)];
    expect(columns).toEqual([{ name: 'a', type: 'Text', characters, words }]);
  });

  it('that memory cannot hold is refused before it is held', async () => {
    await expect(readTableText(`a,b\n${'1,2\n'.repeat(50)}`, { memory: 1000 })).rejects.toMatchObject({
      reason: 'DataTooLarge',
      message: expect.stringContaining('50 rows of 2 columns take') as string,
      where: { field: 'spec.resources.limits.memory' },
    });
  });

  it('whose words memory cannot hold is refused by column and row', async () => {
    const text = `a,b\n${Array.from({ length: 50 }, (_, i) => `1,${'w'.repeat(200)}${i}\n`).join('')}`;
    await expect(readTableText(text, { memory: 6000 })).rejects.toMatchObject({
      reason: 'DataTooLarge',
      message: expect.stringMatching(/^column b, row 8: its 6 different words take/) as string,
      where: { column: 'b', row: 8, field: 'spec.resources.limits.memory' },
    });
    await expect(readTableText(text, { memory: 60_000 })).resolves.toMatchObject({ rows: 50 });
  });

  it('knows where its rows stand, over blank lines and cells of several lines', async () => {
    const { placeOf } = await readTableText('a,b\n1,x\n\n2,"y\nz"\n3,x\n\n4,x\n', {});
    expect([0, 1, 2, 3].map(placeOf)).toEqual([2, 4, 6, 8]);
  });

  it('is refused when a declared column is not there', async () => {
    await expect(readTableText('a\n1\n', { types: { b: 'Numeric' } })).rejects.toThrow(/names b/);
  });
});

it('a date that does not exist is no date', () => {
  expect(secondsIn('2023-02-29')).toBeUndefined();
  expect(secondsIn('2024-02-29 10:00:00.5+02:00')).toBe(Date.UTC(2024, 1, 29, 8) / 1000 + 0.5);
});
