// Slices over real HTTP: pictures, arrays and files.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '@quintet/runtime/testing';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../job/testing.ts';
import { close, engines, post, service, slice, truth, url, useService } from './testing.ts';

useService();

describe('slices', () => {
  test('are pictures by default, that a browser may keep', async () => {
    const answer = await slice('plane=XZ');
    expect(answer.headers.get('content-type')).toBe('image/png');
    expect(
      Buffer.from(await answer.arrayBuffer())
        .subarray(1, 4)
        .toString(),
    ).toBe('PNG');
    const etag = answer.headers.get('etag') ?? '';
    const known = await fetch(`${url}/v1/slice?plane=XZ`, { headers: { 'if-none-match': etag } });
    expect(known.status).toBe(304);
    expect(known.headers.get('x-quintet-source')).toBe('memory');
  });

  test.each(['XY', 'XZ', 'YZ'] as const)('are arrays of the plane %s, each value where it belongs', async (plane) => {
    const query = `plane=${plane}&center=1mm,2mm,40mm&width=8mm&height=6mm&spacing=1mm&format=json`;
    const body = (await (await slice(query)).json()) as { shape: number[]; values: [number, number][] };
    expect(body.shape).toEqual([7, 9]);
    const [u, v, w] =
      plane === 'XY' ? ([0, 1, 2] as const) : plane === 'XZ' ? ([0, 2, 1] as const) : ([1, 2, 0] as const);
    const center = [0.001, 0.002, 0.04] as const;
    for (const [row, column] of [
      [0, 0],
      [6, 8],
      [2, 5],
    ] as const) {
      const point: [number, number, number] = [0, 0, 0];
      point[u] = center[u] - 0.004 + column * 0.001;
      point[v] = center[v] - 0.003 + row * 0.001;
      point[w] = center[w];
      expect(close(body.values[row * 9 + column]!, truth(...point), Math.hypot(...truth(0, 0, 0.04)))).toBe(true);
    }
  });

  test('of velocity agree with points, on the plane that is turned as well', async () => {
    const query = 'plane=YZ&center=1mm,2mm,40mm&width=2mm&height=2mm&spacing=1mm&quantity=Velocity&format=json';
    const { values } = (await (await slice(query)).json()) as { values: number[][][] };
    const { body } = await post('/v1/points', { points: [[0.001, 0.003, 0.041]], quantities: ['Velocity'] });
    const [there] = (body['values'] as { velocity: number[][][] }).velocity;
    expect(close(values[8]!.flat(), there!.flat())).toBe(true);
  });

  test('are ready before they are asked for where somebody walks through the field', async () => {
    const { url: base } = await service({}, { cache: { prefetch: 'Enabled' } });
    const at = async (z: number) => {
      const answer = await slice(`plane=XY&center=0mm,0mm,${z}mm&width=9mm&height=9mm&spacing=1mm`, base);
      await answer.arrayBuffer();
      return answer.headers.get('x-quintet-source');
    };
    expect([await at(40), await at(41), await at(42)]).toEqual(['miss', 'miss', 'miss']);
    const page = async () => (await fetch(`${base}/metrics`)).text();
    await eventually(async () =>
      expect(await page()).toContain('quintet_cache_entries{cache="slices",tier="memory"} 4'),
    );
    expect(await at(43)).toBe('memory');
    expect(await page()).toContain('quintet_prefetch_predictions_total{prefetch="slices",came_true="true"} 1');
  });

  test('are on the disk after a restart, and computed anew where the disk has changed them', async () => {
    const directory = temporaryFolder();
    const cache = { disk: { directory, maxSize: '16Mi' } };
    const ask = async () => {
      const engine = await service({}, { cache });
      const answer = await slice('plane=XY&width=9mm&height=9mm&spacing=1mm&format=npy', engine.url);
      const bytes = Buffer.from(await answer.arrayBuffer());
      const source = answer.headers.get('x-quintet-source');
      const page = await (await fetch(`${engine.url}/metrics`)).text();
      await engine.drain();
      engines.splice(engines.indexOf(engine), 1);
      return { source, bytes: bytes.toString('base64'), page };
    };
    const { page: _, ...first } = await ask();
    expect(first.source).toBe('miss');
    const kept = await ask();
    expect(kept).toMatchObject({ source: 'disk', bytes: first.bytes });
    expect(kept.page).toContain('quintet_cache_requests_total{cache="slices",source="disk"} 1');
    for (const entry of readdirSync(join(directory, 'slices'), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/^[0-9a-f]{64}$/.test(entry.name)) continue;
      const path = join(entry.parentPath, entry.name);
      const bytes = readFileSync(path);
      bytes[bytes.length - 5]! ^= 1;
      writeFileSync(path, bytes);
    }
    expect(await ask()).toMatchObject(first);
  });

  test('are files that NumPy reads, with their shape in the header', async () => {
    const query = 'plane=XY&width=4mm&height=2mm&spacing=1mm&format=npy&quantity=Intensity';
    const bytes = Buffer.from(await (await slice(query)).arrayBuffer());
    const head = 10 + bytes.readUInt16LE(8);
    expect(bytes.subarray(10, head).toString()).toContain(
      "'descr': '<f4', 'fortran_order': False, 'shape': (3, 5, 3,)",
    );
    expect(head % 64).toBe(0);
    expect(bytes.length - head).toBe(3 * 5 * 3 * 4);
  });

  test.each([
    ['a spacing of nothing', 'spacing=0mm', 'spacing'],
    ['an edge of more points than a picture has', 'width=100m', 'width'],
    ['a centre of two lengths', 'center=0mm,0mm', 'center'],
    ['a length without unit', 'height=3', 'height'],
    [
      'forces on more points than one query may sum',
      'quantity=Stiffness&width=100mm&height=100mm&spacing=0.05mm',
      'spacing',
    ],
  ])('refuse %s by its field', async (_what, query, field) => {
    const answer = await slice(query);
    expect(answer.status).toBe(422);
    expect(((await answer.json()) as { error: { field: string } }).error.field).toBe(field);
  });
});
