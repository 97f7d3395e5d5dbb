// The service under load: users without think time, images from 224 to 1920 wide, 85 % repeats of a Zipf mix, beside
// the same with every image new. The users run on a thread of their own, which takes its share of the cores.
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { startEngine } from '@quintet/runtime';
import { median, type Row, row } from '../../runtime/src/bench/table.ts';
import { matcherEngine } from '../src/service/engine.ts';
import { startPostgres } from '../src/testing/postgres.ts';
import { ask, send } from './client.ts';
import { atEnd } from './ending.ts';
import type { Load, Outcome } from './load.worker.ts';
import { asSharp, picture } from './pictures.ts';

const widths = [224, 480, 800, 1280, 1920];

export async function service(quick: boolean): Promise<Row[]> {
  const postgres = await startPostgres();
  const directory = await mkdtemp(join(tmpdir(), 'quintet-bench-'));
  const stop = atEnd(async () => {
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
  });
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
    const url = `${engine.url}/api/v1/match`;
    for (const [i, image] of bases.entries()) {
      await ask('POST', `${engine.url}/api/v1/items`, { id: `item-${i}`, image: image.toString('base64') });
      // What repeats was asked for before.
      await send('POST', url, image, 'image/jpeg');
    }
    // A process that has just started compiles while it serves.
    await run({ url, bases, users: 10, requests: quick ? 200 : 2000, repeats: 0.85, seed: 0 });
    const rows: Row[] = [];
    for (const users of quick ? [1, 10, 50] : [1, 10, 50, 100, 500, 1000, 1200]) {
      for (const repeats of [0.85, 0]) {
        const requests =
          repeats === 0 ? Math.max(20, Math.min(users, quick ? 40 : 300)) : Math.max(quick ? 100 : 400, 2 * users);
        rows.push(...rowsOf(users, repeats, await run({ url, bases, users, requests, repeats, seed: users })));
      }
    }
    return rows;
  } finally {
    await engine.drain();
    await stop();
  }
}

async function run(load: Load): Promise<Outcome> {
  const worker = new Worker(new URL('./load.worker.ts', import.meta.url), { workerData: load });
  const [outcome] = (await once(worker, 'message')) as [Outcome];
  await worker.terminate();
  return outcome;
}

function rowsOf(users: number, repeats: number, { times, hitTimes, missTimes, failed, seconds }: Outcome): Row[] {
  const sorted = times.toSorted((a, b) => a - b);
  const all = times.length + failed;
  const mix = repeats === 0 ? 'all new' : '85 % repeats';
  const base = { bench: 'matcher', size: `${users} users, ${all} requests`, peers: {} } as const;
  const api = { ...base, case: `API, ${mix}` } as const;
  const cache = { ...base, case: 'cache', better: 'higher' } as const;
  const p95 = sorted[Math.floor(sorted.length * 0.95)] ?? Number.POSITIVE_INFINITY;
  const rows = [
    row({ ...api, metric: 'p95', unit: 'ms', better: 'lower', ours: p95 }, repeats === 0 ? {} : { absolute: 2000 }),
    row({ ...api, metric: 'throughput', unit: 'requests/s', better: 'higher', ours: times.length / seconds }),
    row(
      { ...api, metric: 'success', unit: '%', better: 'higher', ours: (100 * times.length) / all },
      { absolute: 100 },
    ),
  ];
  if (repeats === 0) return rows;
  const hitRate = (100 * hitTimes.length) / times.length;
  rows.push(row({ ...cache, metric: 'hit rate', unit: '%', ours: hitRate }, { absolute: 85 }));
  if (users === 1 && hitTimes.length > 0 && missTimes.length > 0) {
    const speedUp = median(missTimes) / median(hitTimes);
    rows.push(row({ ...cache, metric: 'miss over hit', unit: '×', ours: speedUp }, { absolute: 12 }));
  }
  return rows;
}
