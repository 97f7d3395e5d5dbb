// The service over real HTTP: solves and points.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../job/testing.ts';
import { derivativeCounts, derivativesAt, forceOf } from '../physics/derivatives.ts';
import { gorkov } from '../physics/particle.ts';
import { close, engines, type Json, post, problem, service, sources, truth, url, useService } from './testing.ts';

useService();

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
