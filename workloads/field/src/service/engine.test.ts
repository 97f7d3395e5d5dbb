// The service over real HTTP and WebSocket.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Engine, startEngine } from '@quintet/runtime';
import { eventually } from '@quintet/runtime/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { smallJob, smallProblem, temporaryFolder } from '../job/testing.ts';
import { derivativeCounts, derivativesAt, forceOf } from '../physics/derivatives.ts';
import { gorkov } from '../physics/particle.ts';
import { pressureAt } from '../physics/reference.ts';
import { drivenSources } from '../physics/sources.ts';
import { solve } from '../solver/solve.ts';
import { fieldService } from './engine.ts';

const engines: Engine[] = [];
let plain: Engine;
let url: string;
let lasting: string;

/** A service of the small job; `spec` changes members of it. */
async function service(
  spec: Record<string, unknown> = {},
  settings: Record<string, unknown> = {},
  folder = temporaryFolder(),
): Promise<Engine> {
  const configFile = join(folder, 'resource.json');
  const { array, targets, volume } = smallJob().spec;
  const server = { host: '127.0.0.1', port: 0, drainDelay: '0ms' };
  const document = { server, logging: { level: 'silent' }, array, targets, volume, ...spec, ...settings };
  writeFileSync(configFile, JSON.stringify(document));
  const engine = await startEngine(fieldService('small'), { configFile, env: {} });
  engines.push(engine);
  await engine.started;
  return engine;
}

beforeAll(async () => {
  lasting = mkdtempSync(join(tmpdir(), 'quintet-field-'));
  plain = await service({}, {}, lasting);
  url = plain.url;
  engines.length = 0;
});
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.drain()));
});
afterAll(async () => {
  await plain.drain();
  rmSync(lasting, { recursive: true, force: true });
});

type Json = Record<string, unknown>;
async function post(path: string, body: unknown, base = url): Promise<{ status: number; body: Json }> {
  const answer = await fetch(new URL(path, base), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as Json };
}
const slice = (query: string, base = url) => fetch(`${base}/v1/slice?${query}`);

/** What the job's own target gives, computed beside the service. */
const problem = smallProblem();
const sources = drivenSources(problem.emitters, solve(problem.emitters, problem.targets, problem.solver).drive);
function truth(x: number, y: number, z: number): [number, number] {
  const out = new Float64Array(2);
  pressureAt(sources, x, y, z, out);
  return [out[0]!, out[1]!];
}
const close = (got: readonly number[], want: readonly number[], scale = Math.hypot(...want)) =>
  got.every((value, i) => Math.abs(value - want[i]!) <= 1e-5 * scale);

describe('solving', () => {
  test('answers drive, pressures and residual, and the same from the cache at the next time', async () => {
    const body = { targets: [{ position: ['0mm', '0mm', '40mm'] }, { position: [0.005, 0, 0.04], trap: 'Twin' }] };
    const first = await post('/v1/solve', body);
    expect(first).toMatchObject({ status: 200, body: { source: 'miss', algorithm: 'WeightedGS' } });
    expect(first.body['phases']).toHaveLength(16);
    expect(first.body['targets']).toMatchObject([
      { name: 'target-0', trap: 'Focus', pressure: expect.any(Number) },
      { name: 'target-1', trap: 'Twin', stiffness: expect.any(Number) },
    ]);
    const again = await post('/v1/solve', body);
    expect(again.body).toEqual({ ...first.body, source: 'memory' });
  });

  test('measures nothing where only the drive is asked for', async () => {
    const targets = [{ position: [0, 0, 0.041], trap: 'Vortex' }];
    const { body } = await post('/v1/solve', { targets, measure: false });
    expect(body['targets']).toEqual([{ name: 'target-0', trap: 'Vortex', position: [0, 0, 0.041] }]);
    const measured = await post('/v1/solve', { targets });
    expect(measured.body['phases']).toEqual(body['phases']);
  });

  test('takes changes of the solver', async () => {
    const targets = [{ position: [0, 0, 0.04] }];
    const { body } = await post('/v1/solve', { targets, solver: { algorithm: 'GSPAT', phaseLevels: 4 } });
    expect(body).toMatchObject({ algorithm: 'GSPAT' });
    for (const phase of body['phases'] as number[]) expect((phase / (Math.PI / 2)) % 1).toBeCloseTo(0, 9);
  });

  test('keeps the limits of the resource: refused, or turned down when asked', async () => {
    const refusing = await service({ targets: [], safety: { maxPressure: '100Pa' } });
    const targets = [{ position: [0, 0, 0.04] }];
    expect(await post('/v1/solve', { targets }, refusing.url)).toMatchObject({
      status: 422,
      body: { error: { code: 'UNPROCESSABLE', field: 'safety.maxPressure' } },
    });
    const clamping = await service({ targets: [], safety: { maxPressure: '100Pa', action: 'Clamp' } });
    const { body } = await post('/v1/solve', { targets }, clamping.url);
    expect(body).toMatchObject({ safety: { verdict: 'Clamped' } });
    const [reached] = body['targets'] as { pressure: number }[];
    expect(reached?.pressure).toBeLessThanOrEqual(100);
    expect(reached?.pressure).toBeGreaterThan(90);
  });

  test.each([
    ['a target inside a transducer', { targets: [{ position: [0.005, 0.005, 0] }] }, 422, 'targets[0].position'],
    ['no targets', { targets: [] }, 400, 'targets'],
    ['a position that is no length', { targets: [{ position: ['a', 0, 0] }] }, 400, 'targets'],
    ['a place beyond all hearing', { targets: [{ position: [0, 0, 1e9] }] }, 400, 'targets'],
    ['a charge of a focus', { targets: [{ position: [0, 0, 0.1], charge: 2 }] }, 422, 'targets.0.charge'],
    ['an unknown algorithm', { targets: [{ position: [0, 0, 0.1] }], solver: { algorithm: 'Magic' } }, 400, 'solver'],
  ])('refuses %s by its field', async (_what, body, status, field) => {
    const answer = await post('/v1/solve', body);
    expect(answer.status).toBe(status);
    expect((answer.body['error'] as { field: string }).field).toContain(field);
  });
});

describe('propagators', () => {
  test('that take long are kept, on the disk too, and give the same solution', async () => {
    const directory = join(temporaryFolder(), 'cache');
    const array = { type: 'Grid', grid: { rows: 20, columns: 20 } };
    const quiet = { name: 'hush', position: [0, 0, 0.05], trap: 'Silence' };
    const tip = (x: number) => ({ name: 'tip', position: [x, 0, 0.08] });
    const ask = async (x: number, cache: Record<string, unknown>) => {
      const engine = await service({ array }, { cache });
      const { body } = await post('/v1/solve', { targets: [tip(0), quiet] }, engine.url);
      const moved = await post('/v1/solve', { targets: [tip(x), quiet] }, engine.url);
      const page = await (await fetch(`${engine.url}/metrics`)).text();
      await engine.drain();
      engines.splice(engines.indexOf(engine), 1);
      return { first: body, phases: moved.body.phases, page };
    };
    const cache = { disk: { directory, maxSize: '16Mi' } };
    const asked = (source: string, times: number) =>
      `quintet_cache_requests_total{cache="propagators",source="${source}"} ${times}`;
    const fresh = await ask(0.01, cache);
    expect(fresh.page).toContain(asked('miss', 1));
    expect(fresh.page).toContain(asked('memory', 1));
    const later = await ask(0.02, cache);
    expect(later.page).toContain(asked('disk', 1));
    expect(later.phases).toEqual((await ask(0.02, {})).phases);
  });
});

describe('points', () => {
  test("are of the resource's own solution where none is named", async () => {
    const points = [
      [0, 0, 0.04],
      ['5mm', '-2mm', '31mm'],
    ];
    const { body } = await post('/v1/points', { points });
    const { pressure } = body['values'] as { pressure: number[][] };
    expect(close(pressure[0]!, truth(0, 0, 0.04))).toBe(true);
    expect(close(pressure[1]!, truth(0.005, -0.002, 0.031))).toBe(true);
  });

  test('are of a solution that is named, and not of one that another tenant solved', async () => {
    const folder = temporaryFolder();
    mkdirSync(folder, { recursive: true });
    for (const tenant of ['lab', 'shop']) writeFileSync(join(folder, tenant), `${tenant}-token-0123456789`);
    const { url: base } = await service({}, { auth: { directory: folder } });
    const ask = async (tenant: string, path: string, body: unknown) => {
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${tenant}-token-0123456789` };
      const answer = await fetch(new URL(path, base), { method: 'POST', headers, body: JSON.stringify(body) });
      return { status: answer.status, body: (await answer.json()) as Json };
    };
    const { body } = await ask('lab', '/v1/solve', { targets: [{ position: [0.01, 0, 0.05] }] });
    const query = { solution: body['solution'], points: [[0.01, 0, 0.05]] };
    expect((await ask('lab', '/v1/points', query)).status).toBe(200);
    expect((await ask('shop', '/v1/points', query)).status).toBe(404);
    expect((await fetch(new URL('/v1/field', base))).status).toBe(401);
  });

  test('give forces as the analytic derivatives do, on a thread where there are many', async () => {
    const point = [0.002, 0.001, 0.042];
    const many = Array.from({ length: 500 }, () => point);
    const { body } = await post('/v1/points', { points: many, quantities: ['Force', 'GorkovPotential'] });
    const { force } = body['values'] as { force: number[][] };
    const at = new Float64Array(2 * derivativeCounts[2]);
    derivativesAt(sources, 2, point[0]!, point[1]!, point[2]!, at);
    const weights = gorkov(problem.particle, problem.medium, problem.frequency);
    const here = { re: (m: number) => at[2 * m]!, im: (m: number) => at[2 * m + 1]! };
    expect(force).toHaveLength(500);
    expect(
      close(
        force[499]!,
        [0, 1, 2].map((axis) => forceOf(here, weights, axis)),
      ),
    ).toBe(true);
  });

  test.each([
    ['a solution that is unknown', { points: [[0, 0, 0]], solution: 'nothing' }, 404],
    ['more points than a query may have', { points: Array.from({ length: 10_001 }, () => [0, 0, 0]) }, 400],
    ['a quantity that is none', { points: [[0, 0, 0]], quantities: ['Warmth'] }, 400],
  ])('refuse %s', async (_what, body, status) => expect((await post('/v1/points', body)).status).toBe(status));
});

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

describe('a stream', () => {
  test('answers points as bytes, solves as JSON, and goes on with the newest solution', async () => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/stream`);
    const heard: (Buffer | Json)[] = [];
    let wake = () => undefined as void;
    socket.on('message', (data: Buffer, binary: boolean) => {
      heard.push(binary ? data : (JSON.parse(data.toString()) as Json));
      wake();
    });
    const next = async (): Promise<Buffer | Json> => {
      while (heard.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return heard.shift()!;
    };
    await new Promise((resolve) => socket.once('open', resolve));
    const query = Buffer.alloc(16);
    query.writeUInt32LE(7, 0);
    [0, 0, 0.04].forEach((value, i) => query.writeFloatLE(value, 4 + 4 * i));
    socket.send(query);
    const bytes = (await next()) as Buffer;
    expect(bytes.readUInt32LE(0)).toBe(7);
    expect(close([bytes.readFloatLE(4), bytes.readFloatLE(8)], truth(0, 0, Math.fround(0.04)))).toBe(true);

    socket.send(JSON.stringify({ id: 'a', type: 'solve', targets: [{ position: [0.01, 0, 0.05] }] }));
    const solved = (await next()) as Json;
    expect(solved).toMatchObject({ id: 'a', type: 'solution', residual: expect.any(Number) });
    socket.send(JSON.stringify({ id: 'b', type: 'points', points: [[0.01, 0, 0.05]] }));
    expect(await next()).toMatchObject({ id: 'b', solution: solved['solution'] });
    socket.send(JSON.stringify({ id: 'c', type: 'points', points: [] }));
    expect(await next()).toMatchObject({ id: 'c', type: 'error', error: { code: 'INVALID_REQUEST', field: 'points' } });

    // Sent at once: bytes are of the solution that was asked for before them, and a solve that fails changes nothing.
    const solves = [
      [0, 0, 0.06],
      [0.005, 0, 0.06],
    ].map((position) => ({ type: 'solve', targets: [{ position }] }));
    for (const each of solves) socket.send(JSON.stringify({ ...each, id: 'd' }));
    socket.send(JSON.stringify({ type: 'solve', targets: [{ position: [0.005, 0.005, 0] }], id: 'e' }));
    socket.send(query);
    const answers = [await next(), await next(), await next(), await next()];
    const bytesNow = answers.find((each) => Buffer.isBuffer(each))!;
    const last = await post('/v1/solve', { targets: solves[1]!.targets });
    const points = [[0, 0, Math.fround(0.04)]];
    const now = await post('/v1/points', { solution: last.body['solution'], points });
    const [pressure] = (now.body['values'] as { pressure: [number, number][] }).pressure;
    expect(close([bytesNow.readFloatLE(4), bytesNow.readFloatLE(8)], pressure!)).toBe(true);
    socket.send('no JSON');
    expect(await next()).toMatchObject({ type: 'error' });
    socket.close();
  });

  test('is told when the service ends, and does not hold it up', async () => {
    const engine = await service();
    const socket = new WebSocket(`${engine.url.replace('http', 'ws')}/v1/stream`);
    await new Promise((resolve) => socket.once('open', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await engine.drain();
    expect(await closed).toBe(1001);
  });
});

describe('the service', () => {
  test('tells what it is of, and describes its routes', async () => {
    expect(await (await fetch(`${url}/v1/field`)).json()).toMatchObject({ name: 'small', elements: 16 });
    const { paths } = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: object };
    expect(Object.keys(paths)).toEqual(expect.arrayContaining(['/v1/solve', '/v1/points', '/v1/slice']));
    const field = JSON.stringify((paths as Record<string, object>)['/v1/field']);
    for (const member of ['elements', 'frequency', 'limits', 'tolerance']) expect(field).toContain(`"${member}":{`);
  });

  test('does not start with a resource that nothing can be solved for', async () => {
    await expect(service({ medium: { type: 'Water', temperature: '150C' } })).rejects.toMatchObject({
      reason: 'InvalidMedium',
    });
    await expect(service({ targets: [{ name: 'in', position: ['5mm', '5mm', '0mm'] }] })).rejects.toThrow(/transducer/);
  });
});
