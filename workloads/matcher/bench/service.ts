// The service under load: users without think time, images from 224 to 1920 wide, 85 % repeats of a Zipf mix, beside
// the same with every image new. The clients run in this process and take their share of its cores.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEngine } from '@quintet/runtime';
import { median, type Row, row } from '../../runtime/src/bench/table.ts';
import { matcherEngine } from '../src/service/engine.ts';
import { startPostgres } from '../src/testing/postgres.ts';
import { asSharp, picture, random } from './pictures.ts';

const widths = [224, 480, 800, 1280, 1920];

export async function service(quick: boolean): Promise<Row[]> {
  const postgres = await startPostgres();
  const directory = await mkdtemp(join(tmpdir(), 'quintet-bench-'));
  const configFile = join(directory, 'config.json');
  const server = { host: '127.0.0.1', port: 0, drainDelay: '1ms' };
  const rateLimits = { maxConcurrent: 4000 };
  await writeFile(configFile, JSON.stringify({ server, rateLimits, logging: { level: 'silent' } }));
  const env = { QUINTET_POSTGRES_URL: postgres.url };
  const engine = await startEngine(matcherEngine(env), { configFile, env });
  try {
    await engine.started;
    const bases = await Promise.all(
      Array.from({ length: quick ? 10 : 40 }, async (_, i) =>
        asSharp(picture(i, 1000, 750))
          .resize(widths[i % widths.length])
          .jpeg({ quality: 85 })
          .toBuffer(),
      ),
    );
    for (const [i, image] of bases.entries()) {
      await post(
        `${engine.url}/api/v1/items`,
        JSON.stringify({ id: `item-${i}`, image: image.toString('base64') }),
        'application/json',
      );
    }
    const rows: Row[] = [];
    const load = { url: `${engine.url}/api/v1/match`, bases };
    for (const users of quick ? [1, 10, 50] : [1, 10, 50, 100, 500, 1000, 1200]) {
      for (const repeats of [0.85, 0]) {
        const requests =
          repeats === 0 ? Math.max(20, Math.min(users, quick ? 40 : 300)) : Math.max(quick ? 100 : 400, 2 * users);
        rows.push(...rowsOf(users, repeats, await run({ ...load, users, requests, repeats, seed: users })));
      }
    }
    return rows;
  } finally {
    await engine.drain();
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

interface Load {
  url: string;
  bases: readonly Buffer[];
  users: number;
  requests: number;
  repeats: number;
  seed: number;
}

interface Outcome {
  readonly times: number[];
  readonly hitTimes: number[];
  readonly missTimes: number[];
  readonly failed: number;
  readonly seconds: number;
}

async function run({ url, bases, users, requests, repeats, seed }: Load): Promise<Outcome> {
  const next = random(seed);
  const bodies = Array.from({ length: requests }, (_, i) => {
    const repeated = next() < repeats;
    const base = bases[repeated ? Math.floor(bases.length * next() ** 3) : i % bases.length] as Buffer;
    // Bytes after the end of a JPEG change nothing of the picture, and everything of the digest.
    return repeated ? base : Buffer.concat([base, Buffer.from(`${seed}-${repeats}-${i}`)]);
  });
  const outcome = { times: [] as number[], hitTimes: [] as number[], missTimes: [] as number[], failed: 0 };
  let at = 0;
  const begun = performance.now();
  await Promise.all(
    Array.from({ length: users }, async () => {
      while (at < bodies.length) {
        const body = bodies[at++] as Buffer;
        const from = performance.now();
        try {
          const { cached } = (await post(url, body, 'image/jpeg')) as { cached: boolean };
          const time = performance.now() - from;
          outcome.times.push(time);
          (cached ? outcome.hitTimes : outcome.missTimes).push(time);
        } catch {
          outcome.failed++;
        }
      }
    }),
  );
  return { ...outcome, seconds: (performance.now() - begun) / 1000 };
}

function rowsOf(users: number, repeats: number, { times, hitTimes, missTimes, failed, seconds }: Outcome): Row[] {
  const sorted = times.sort((a, b) => a - b);
  const mix = repeats === 0 ? 'all new' : '85 % repeats';
  const base = { bench: 'matcher', size: `${users} users, ${times.length + failed} requests`, peers: {} } as const;
  const p95 = sorted[Math.floor(sorted.length * 0.95)] ?? Number.POSITIVE_INFINITY;
  const rows = [
    row(
      { ...base, case: `API, ${mix}`, metric: 'p95', unit: 'ms', better: 'lower', ours: p95 },
      repeats === 0 ? {} : { absolute: 2000 },
    ),
    row({
      ...base,
      case: `API, ${mix}`,
      metric: 'throughput',
      unit: 'requests/s',
      better: 'higher',
      ours: times.length / seconds,
    }),
    row(
      {
        ...base,
        case: `API, ${mix}`,
        metric: 'success',
        unit: '%',
        better: 'higher',
        ours: (100 * times.length) / (times.length + failed),
      },
      { absolute: 100 },
    ),
  ];
  if (repeats > 0) {
    rows.push(
      row(
        {
          ...base,
          case: 'cache',
          metric: 'hit rate',
          unit: '%',
          better: 'higher',
          ours: (100 * hitTimes.length) / times.length,
        },
        { absolute: 85 },
      ),
    );
    if (users === 1 && hitTimes.length > 0 && missTimes.length > 0) {
      rows.push(
        row(
          {
            ...base,
            case: 'cache',
            metric: 'miss over hit',
            unit: '×',
            better: 'higher',
            ours: median(missTimes) / median(hitTimes),
          },
          { absolute: 12 },
        ),
      );
    }
  }
  return rows;
}

async function post(url: string, body: string | Buffer, type: string): Promise<unknown> {
  const bytes = typeof body === 'string' ? body : new Uint8Array(body);
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': type }, body: bytes });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return await response.json();
}
