import '../testing/commonjs.ts';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Engine, startEngine } from '@quintet/runtime';
import { eventually } from '@quintet/runtime/testing';
import pg from 'pg';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { colourModel, edge } from '../testing/onnx.ts';
import { startPostgres, type TestPostgres } from '../testing/postgres.ts';
import { matcherEngine } from './engine.ts';

// Two engines and a database take their time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let postgres: TestPostgres;
let directory: string;
let replicas: Engine[];
let count = 0;

beforeAll(async () => {
  postgres = await startPostgres();
  directory = await mkdtemp(join(tmpdir(), 'quintet-matcher-'));
  replicas = [await replica('a'), await replica('b')];
}, 120_000);

afterAll(async () => {
  await Promise.all((replicas ?? []).map((each) => each.drain()));
  await postgres?.stop();
  await rm(directory, { recursive: true, force: true });
});

describe('matching', () => {
  test('a registered image is found by itself, by another encoding, turned, and by its hash alone', async () => {
    const { id, png } = await registered();
    expect(await match({ image: png })).toMatchObject({
      matched: true,
      decidedBy: 'Exact',
      matches: [{ item: id, bank: 'default', distance: 0 }],
    });
    const jpeg = await sharp(png).jpeg({ quality: 50 }).toBuffer();
    const byImage = await match({ image: jpeg });
    expect(byImage).toMatchObject({ matched: true, decidedBy: 'Hash', matches: [{ item: id }] });
    const turned = await sharp(png).rotate(90).png().toBuffer();
    const variant = expect.stringMatching(/^Rotate(90|270)$/) as string;
    expect(await match({ image: turned })).toMatchObject({ matches: [{ item: id, evidence: { variant } }] });
    const { hash } = (await call('GET', `/api/v1/items/${id}`)).body as { hash: string };
    const byHash = await match({ hash });
    expect(byHash).toMatchObject({ matched: true, matches: [{ item: id, distance: 0 }] });
  });

  test('multipart and the bare image are taken as well as JSON', async () => {
    const { id, png } = await registered();
    const form = new FormData();
    form.set('image', new Blob([new Uint8Array(png)], { type: 'image/gif' }), '../../etc/passwd');
    form.set('query', JSON.stringify({ topK: 1 }));
    const multipart = await fetch(`${replicas[0]?.url}/api/v1/match`, { method: 'POST', body: form });
    expect(await multipart.json()).toMatchObject({ matches: [{ item: id }] });
    const bare = await fetch(`${replicas[0]?.url}/api/v1/match`, {
      method: 'POST',
      headers: { 'content-type': 'image/png' },
      body: new Uint8Array(png),
    });
    expect(await bare.json()).toMatchObject({ matches: [{ item: id }] });
  });

  test('a picture too plain for its hash is found by the same bytes, and its registration says so', async () => {
    const plain = await sharp({ create: { width: 300, height: 200, channels: 3, background: '#336699' } })
      .composite([{ input: await picture(900 + ++count).then((png) => sharp(png).resize(12, 8).png().toBuffer()) }])
      .png()
      .toBuffer();
    const image = plain.toString('base64');
    const { body } = await call('POST', '/api/v1/items', { id: 'plain', image });
    expect(body).toMatchObject({ findableBy: ['Exact', 'Features'] });
    expect((body as { quality: number }).quality).toBeLessThan(50);
    for (const level of ['Speed', 'Balanced', 'Memory']) {
      await eventually(async () =>
        expect(await match({ image: plain, level })).toMatchObject({
          decidedBy: 'Exact',
          matches: [{ item: 'plain' }],
        }),
      );
    }
    const { hash, quality } = body as { hash: string; quality: number };
    expect((await match({ hash, quality })).matched).toBe(false);
  });

  test('an item that its bank’s ratio leaves out is found by no stage', async () => {
    await call('PUT', '/api/v1/banks/half', { enabledRatio: 0.5 });
    const found: string[][] = [];
    for (let i = 0; i < 8; i++) {
      const png = await picture(700 + i);
      const profile = { name: `Bartholomew Half${'abcdefgh'[i]}ington${i}` };
      const item = { id: `half-${i}`, bank: 'half', image: png.toString('base64'), profile };
      expect((await call('POST', '/api/v1/items', item)).status).toBe(201);
      await call('PUT', '/api/v1/banks/half', { enabledRatio: 1 });
      await eventually(async () => expect((await match({ image: png, banks: ['half'] })).matched).toBe(true));
      await call('PUT', '/api/v1/banks/half', { enabledRatio: 0.5 });
      await new Promise((resolve) => setTimeout(resolve, 300));
      const jpeg = await sharp(png).jpeg({ quality: 60 }).toBuffer();
      const crop = await sharp(png).extract({ left: 100, top: 60, width: 360, height: 270 }).jpeg().toBuffer();
      const answers = [
        await match({ image: png, banks: ['half'] }),
        await match({ image: jpeg, banks: ['half'] }),
        await match({ image: crop, level: 'Accuracy', banks: ['half'] }),
        await match({ profile, banks: ['half'] }),
      ];
      found.push(answers.map(({ matches }) => String(matches.some((each) => each.item === `half-${i}`))));
    }
    expect(found.filter((each) => new Set(each).size !== 1)).toEqual([]);
    const inForce = found.filter(([first]) => first === 'true').length;
    expect(inForce).toBeGreaterThan(0);
    expect(inForce).toBeLessThan(7);
  });

  test('a crop is found at level Accuracy, with the region, and not at level Speed', async () => {
    const { id, png } = await registered();
    const crop = await sharp(png).extract({ left: 100, top: 60, width: 360, height: 270 }).jpeg().toBuffer();
    const found = await match({ image: crop, level: 'Accuracy' });
    expect(found).toMatchObject({ decidedBy: 'Features', matches: [{ item: id, evidence: { mirrored: false } }] });
    expect(await match({ image: crop, level: 'Speed' })).toMatchObject({ matched: false });
  });

  test('a profile is found by a name spelled otherwise, and an image with its profile scores above the image alone', async () => {
    const profile = { name: 'Konstantina Papadopoulou', attributes: { country: 'GR' } };
    const { id, png } = await registered({ profile });
    const query = { name: 'Constantina Papadopulou', attributes: { country: 'gr' } };
    expect(await match({ profile: query })).toMatchObject({ decidedBy: 'Profile', matches: [{ item: id }] });
    const jpeg = await sharp(png).jpeg({ quality: 20 }).toBuffer();
    const alone = await match({ image: jpeg });
    const both = await match({ image: jpeg, profile: query });
    expect(both.score).toBeGreaterThanOrEqual(alone.score);
  });

  test('an image asked for again comes from the cache, with the same verdict', async () => {
    const { png } = await registered();
    const first = await match({ image: png });
    const second = await match({ image: png });
    expect([first.cached, second.cached]).toEqual([false, true]);
    expect(second.matches).toEqual(first.matches);
  });

  test('a batch answers each query, the refused ones with their error', async () => {
    const { id, png } = await registered();
    const queries = [{ image: png.toString('base64') }, { image: 'bm8gaW1hZ2U=' }, { profile: { name: 'nobody' } }];
    const { status, body } = await call('POST', '/api/v1/match/batch', { queries });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      results: [{ matches: [{ item: id }] }, { error: { code: 'UNPROCESSABLE' } }, { matched: false }],
    });
  });
});

describe('items', () => {
  test('are everywhere within two seconds: registered, disabled, enabled, deleted', async () => {
    const { id, png } = await registered();
    const seen = async (wanted: boolean) => {
      for (let i = 0; i < replicas.length; i++) {
        await eventually(async () => expect((await match({ image: png }, i)).matched).toBe(wanted), 2000);
      }
    };
    await seen(true);
    await call('PUT', `/api/v1/items/${id}/state`, { state: 'Disabled' });
    await seen(false);
    await call('PUT', `/api/v1/items/${id}/state`, { state: 'Enabled' });
    await seen(true);
    expect((await call('DELETE', `/api/v1/items/${id}`)).status).toBe(204);
    await seen(false);
    expect((await call('GET', `/api/v1/items/${id}`)).status).toBe(404);
  });

  test('are imported with progress, each refusal with its reason, and twice without harm', async () => {
    const good = [1, 2, 3].map((i) => ({ id: `import-${i}`, hash: `${i}`.repeat(64) }));
    const items = [...good, { id: 'bad', hash: 'xyz' }, { id: 'none' }];
    for (const [added, known] of [
      [3, 0],
      [0, 3],
    ]) {
      const response = await post('/api/v1/items/import', { items });
      const lines = (await response.text())
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object);
      expect(lines.at(-1)).toMatchObject({ total: 5, done: 5, added, known, refused: 2 });
      expect(lines[0]).toMatchObject({ refusals: [{ index: 3 }, { index: 4 }] });
    }
    const feed = (await call('GET', '/api/v1/feed?limit=1000')).body as { entries: { id: string }[]; cursor: number };
    expect(feed.entries.map(({ id }) => id)).toEqual(expect.arrayContaining(['import-1', 'import-2', 'import-3']));
    expect((await call('GET', `/api/v1/feed?cursor=${feed.cursor}`)).body).toMatchObject({ entries: [] });
  });

  test('are imported line by line too, and one that the record refuses takes no other with it', async () => {
    const item = (i: number) => ({ id: `line-${i}`, hash: i.toString(16).padStart(64, '3') });
    const lines = [item(1), { ...item(2), bank: 'nowhere' }, 'no json', { ...item(3), id: 'zero\u0000' }, item(4)];
    const response = await fetch(`${replicas[0]?.url}/api/v1/items/import`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
    });
    const told = (await response.text()).trim().split('\n');
    expect(JSON.parse(told.at(-1) ?? '')).toMatchObject({
      done: 5,
      added: 2,
      refused: 3,
      refusals: [{ index: 2 }, { index: 1, reason: 'bank nowhere does not exist' }, { index: 3 }],
    });
    expect((await call('GET', '/api/v1/items/line-4')).status).toBe(200);
  });

  test('with more metadata than replicas should read are refused', async () => {
    const metadata = { text: 'x'.repeat(17_000) };
    const { status, body } = await call('POST', '/api/v1/items', { id: 'big', hash: 'b'.repeat(64), metadata });
    expect(status).toBe(400);
    expect(body).toMatchObject({ error: { message: expect.stringContaining('16384 bytes') as string } });
  });

  test('a negative bank suppresses with the reason, a bank’s ratio and distance are obeyed', async () => {
    const { id, png } = await registered();
    await call('PUT', '/api/v1/banks/known-good', { kind: 'Negative', suppresses: ['default'] });
    await eventually(async () => {
      const { status } = await call('POST', '/api/v1/items', {
        id: `${id}-good`,
        bank: 'known-good',
        image: png.toString('base64'),
      });
      expect([201, 409]).toContain(status);
    });
    await eventually(async () =>
      expect(await match({ image: png })).toMatchObject({
        matched: false,
        suppressed: [{ item: id, evidence: { suppressedBecause: expect.stringContaining('known-good') as string } }],
      }),
    );
    await call('DELETE', `/api/v1/items/${id}-good`);
    await eventually(async () => expect((await match({ image: png })).matched).toBe(true));
    await call('PUT', '/api/v1/banks/default', { enabledRatio: 0 });
    await eventually(async () => expect((await match({ image: png })).matched).toBe(false));
    await call('PUT', '/api/v1/banks/default', { enabledRatio: 1 });
    await eventually(async () => expect((await match({ image: png })).matched).toBe(true));
  });
});

describe('bad input', () => {
  test.each([
    ['no query at all', {}, 400],
    ['an unknown member', { hash: '0'.repeat(64), colour: 'red' }, 400],
    ['base64 that is none', { image: '%%%' }, 400],
    ['a million spaces and no base64', { image: `${' '.repeat(1 << 20)}!` }, 400],
    ['base64 with its padding in the middle', { image: 'aa==aaaa' }, 400],
    ['an empty profile', { profile: {} }, 400],
    ['an SVG', { image: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>').toString('base64') }, 422],
    ['a bank that is none', { hash: '0'.repeat(64), banks: ["x'; drop table items; --"] }, 404],
    ['a hash too short', { hash: '00' }, 400],
  ])('%s is refused', async (_, body, status) => {
    const answer = await call('POST', '/api/v1/match', body);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ error: { code: expect.any(String) as string } });
  });

  test('SQL in a profile is a name', async () => {
    const profile = { name: "Robert'); DROP TABLE items;--" };
    const { id } = await registered({ profile });
    expect(await match({ profile })).toMatchObject({ matches: [{ item: id }] });
  });
});

test('verdicts on items seen before go on while PostgreSQL is away, and health says so', async () => {
  const { id, png } = await registered();
  expect((await match({ image: png })).matched).toBe(true);
  await postgres.kill();
  try {
    expect(await match({ image: png })).toMatchObject({ matched: true, matches: [{ item: id }] });
    const answer = await call('POST', '/api/v1/items', { id: 'later', hash: 'a'.repeat(64) });
    expect(answer).toMatchObject({ status: 503, body: { error: { code: 'DEPENDENCY_UNAVAILABLE' } } });
    await eventually(async () =>
      expect((await call('GET', '/api/v1/health')).body).toMatchObject({ status: 'degraded' }),
    );
  } finally {
    await postgres.start();
  }
  await eventually(async () => expect((await call('GET', '/api/v1/health')).body).toMatchObject({ status: 'ok' }));
});

test('a pod that drains keeps its index for the next, which reads no item from the record', async () => {
  const { png } = await registered();
  const one = await replica('drained');
  await one.drain();
  // A row that goes behind the index's back shows which of the two was read.
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  await client.query(`insert into items (tenant, id, bank, hash, quality)
    select tenant, 'behind', bank, hash, quality from items where id like 'item-%' limit 1`);
  const counts = async (at = 0) => {
    const { body } = await call('GET', '/api/v1/health', undefined, at);
    const { items, disabled } = (body as { index: { items: number; disabled: number } }).index;
    return { items, disabled };
  };
  const next = await replica('drained');
  replicas.push(next);
  try {
    expect(await counts(replicas.length - 1)).toEqual(await counts());
    expect((await match({ image: png }, replicas.length - 1)).matched).toBe(true);
  } finally {
    replicas.pop();
    await next.drain();
    await client.query(`delete from items where id = 'behind'`);
    await client.end();
  }
});

describe('an embedding model', () => {
  /** Two colours: no hash is asked for below, and any model that sees colour tells these apart. */
  const plain = async (colours: readonly [string, string]) => {
    const [background, patch] = colours;
    const input = await sharp({ create: { width: 160, height: 120, channels: 3, background: patch } })
      .png()
      .toBuffer();
    return await sharp({ create: { width: 320, height: 240, channels: 3, background } })
      .composite([{ input, left: 0, top: 0 }])
      .png()
      .toBuffer();
  };
  const config = (file: string) => ({
    hashing: { minQuality: 100 },
    embedding: {
      source: { persistentVolumeClaim: { claimName: 'models', path: file, directory } },
      minSimilarity: '0.97',
      imageSize: edge,
    },
  });

  test('keeps the pod from being ready while it is missing or damaged, and says why', async () => {
    const path = join(directory, 'late.onnx');
    const sha256 = createHash('sha256').update(colourModel()).digest('hex');
    const { embedding } = config('late.onnx');
    const configFile = await configuration('late', { embedding: { ...embedding, sha256 } });
    const engine = await startEngine(matcherEngine({ QUINTET_POSTGRES_URL: postgres.url }), { configFile, env: {} });
    try {
      const ready = async () => {
        const response = await fetch(`${engine.url}/readyz`);
        return { status: response.status, text: await response.text() };
      };
      await eventually(async () =>
        expect(await ready()).toMatchObject({ status: 503, text: expect.stringContaining('ENOENT') as string }),
      );
      await writeFile(path, colourModel().subarray(0, 80));
      await eventually(
        async () => expect(await ready()).toMatchObject({ text: expect.stringContaining('is damaged') as string }),
        15_000,
      );
      await writeFile(path, colourModel());
      await engine.started;
      expect((await ready()).status).toBe(200);
    } finally {
      await engine.drain();
    }
  });

  test('finds what no hash can be taken of, with the similarity as evidence, also after a restart', async () => {
    await writeFile(join(directory, 'colours.onnx'), colourModel());
    let at = replicas.push(await replica('embedding', config('colours.onnx'))) - 1;
    try {
      const [red, blue] = [await plain(['#c03020', '#f0e0d0']), await plain(['#2040c0', '#101010'])];
      const item = { id: 'red', image: red.toString('base64') };
      expect(await call('POST', '/api/v1/items', item, at)).toMatchObject({
        status: 201,
        body: { findableBy: ['Exact', 'Features', 'Embedding'] },
      });
      const jpeg = await sharp(red).resize(500, 380).jpeg({ quality: 40 }).toBuffer();
      const found = {
        decidedBy: 'Embedding',
        matches: [{ item: 'red', evidence: { similarity: expect.any(Number) as number } }],
      };
      await eventually(async () => expect(await match({ image: jpeg }, at)).toMatchObject(found));
      expect(await match({ image: blue }, at)).toMatchObject({ matched: false });
      expect(await match({ image: blue }, at)).toMatchObject({ cached: true });
      expect((await call('GET', '/api/v1/metrics/ai-inference', undefined, at)).body).toMatchObject({
        stages: expect.arrayContaining(['Embedding']) as string[],
        model: { provider: 'Cpu', dimensions: 48, copies: 1 },
        batching: { size: expect.any(Number) as number, wait: expect.any(Number) as number },
      });
      await replicas.pop()?.drain();
      at = replicas.push(await replica('embedding', config('colours.onnx'))) - 1;
      expect(await match({ image: jpeg }, at)).toMatchObject(found);
      // Of another model, no fingerprint that was kept is of use, and no vector that was stored.
      await replicas.pop()?.drain();
      await writeFile(join(directory, 'colours.onnx'), colourModel({ name: 'other' }));
      at = replicas.push(await replica('embedding', config('colours.onnx'))) - 1;
      expect(await match({ image: jpeg }, at)).toMatchObject({ cached: false, matched: false });
      expect(await match({ image: red }, at)).toMatchObject({ decidedBy: 'Exact', matches: [{ item: 'red' }] });
    } finally {
      await replicas.splice(2)[0]?.drain();
    }
  });
});

test('health, performance, inference and service levels are told', async () => {
  expect((await call('GET', '/api/v1/health')).body).toMatchObject({ status: 'ok', index: { quarantined: 0 } });
  expect((await call('GET', '/api/v1/metrics/performance')).body).toMatchObject({ windows: [{ seconds: 60 }, {}, {}] });
  expect((await call('GET', '/api/v1/metrics/ai-inference')).body).toMatchObject({ level: 'Accuracy', model: null });
  expect((await call('GET', '/api/v1/metrics/sla')).body).toMatchObject({
    alerts: { errorRate: expect.any(String) as string },
    thresholds: { latencyP95: [1500, 2000] },
  });
});

async function replica(name: string, more: object = {}): Promise<Engine> {
  const configFile = await configuration(name, more);
  const env = { QUINTET_POSTGRES_URL: postgres.url, QUINTET_SNAPSHOT_DIRECTORY: directory };
  const engine = await startEngine(matcherEngine(env), { configFile, env });
  await engine.started;
  return engine;
}

/** Writes the configuration and returns its file. */
async function configuration(name: string, more: object): Promise<string> {
  const file = join(directory, `${name}.json`);
  const config = {
    server: { host: '127.0.0.1', port: 0, drainDelay: '10ms' },
    logging: { level: 'silent' },
    level: 'Accuracy',
    hashing: { minQuality: 30 },
    exchange: { export: 'Enabled' },
    cache: { disk: { maxSize: '64Mi', directory: join(directory, `${name}-cache`) } },
  };
  await writeFile(file, JSON.stringify({ ...config, ...more }));
  return file;
}

async function registered(more: object = {}) {
  const id = `item-${++count}`;
  const png = await picture(count);
  const { status, body } = await call('POST', '/api/v1/items', { id, image: png.toString('base64'), ...more });
  expect(body).toMatchObject({ id, state: 'Enabled' });
  expect(status).toBe(201);
  // Asked by hash, so that the image is not in the cache yet.
  const { hash } = body as { hash: string };
  for (const at of replicas.keys()) {
    await eventually(async () => expect((await match({ hash }, at)).matches.map(({ item }) => item)).toContain(id));
  }
  return { id, png };
}

interface Answer {
  matched: boolean;
  score: number;
  cached: boolean;
  matches: { item: string; score: number }[];
}

async function match(query: { image?: Buffer; [name: string]: unknown }, at = 0): Promise<Answer> {
  const { image, ...rest } = query;
  const body = { ...rest, ...(image && { image: image.toString('base64') }) };
  const answer = await call('POST', '/api/v1/match', body, at);
  expect(answer.status).toBe(200);
  return answer.body as Answer;
}

async function call(method: string, path: string, body?: unknown, at = 0) {
  const response = await fetch(`${replicas[at]?.url}${path}`, {
    method,
    ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
}

async function post(path: string, body: unknown): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return await fetch(`${replicas[0]?.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
}

/** Blocks, discs and waves, different for each seed; the same seed gives the same bytes. */
async function picture(seed: number): Promise<Buffer> {
  const [width, height] = [560, 420];
  const data = Buffer.alloc(width * height * 3);
  let state = Math.imul(seed + 1, 2_654_435_761) | 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < data.length; i++) data[i] = 110 + 60 * Math.sin(Math.floor(i / 3 / width) / 40 + seed + (i % 3));
  for (let shape = 0; shape < 70; shape++) {
    const [x, y, w, h] = [next() * width, next() * height, 8 + next() * 90, 8 + next() * 70];
    const colour = [next() * 255, next() * 255, next() * 255];
    const round = next() < 0.4;
    for (let j = Math.floor(y); j < Math.min(height, y + h); j++) {
      for (let i = Math.floor(x); i < Math.min(width, x + w); i++) {
        const [u, v] = [(2 * (i - x)) / w - 1, (2 * (j - y)) / h - 1];
        if (round && u * u + v * v > 1) continue;
        for (let c = 0; c < 3; c++) data[3 * (j * width + i) + c] = colour[c] as number;
      }
    }
  }
  return await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}
