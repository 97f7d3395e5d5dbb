// Two replicas under load while items come and go: how long until each sees a new item, until each is silent about one
// that was disabled, whether a request failed meanwhile, and how old the indexes became.
import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis } from '@quintet/runtime/testing';
import { type Row, row } from '../../runtime/src/bench/table.ts';
import { ask, send } from './client.ts';
import { type Deployment, deploy, matchesOf, type Pod, startPod } from './deployment.ts';
import { atEnd } from './ending.ts';
import { query } from './hashes.ts';
import { asSharp, picture, random } from './pictures.ts';

/** Users without think time, and changes beside them. */
const users = 8;
const changesOfPhase = { quick: 10, full: 100 };
/** Milliseconds between two looks whether a replica has followed. */
const lookEvery = 5;

interface Phase {
  readonly registered: number[];
  readonly disabled: number[];
  readonly requests: number[];
  readonly failed: string[];
  readonly ages: number[];
  readonly imported: number;
}

/** @param sizes Of the record, items. */
export async function changes(quick: boolean, sizes = quick ? [50_000] : [1_000_000, 10_000_000]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const size of sizes) rows.push(...(await changesAmong(size, quick)));
  return rows;
}

async function changesAmong(count: number, quick: boolean): Promise<Row[]> {
  const deployment = await deploy(count);
  try {
    return await changesIn(deployment, quick);
  } finally {
    await deployment.stop();
  }
}

export async function changesIn(deployment: Deployment, quick: boolean): Promise<Row[]> {
  const redis = await startRedis();
  const stopRedis = atEnd(redis.stop);
  process.env['QUINTET_REDIS_URL'] = redis.url;
  const pods: Pod[] = [];
  try {
    pods.push(...(await Promise.all(['a', 'b'].map((name) => startPod(deployment, name)))));
    const images = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        asSharp(picture(i, 640, 480))
          .jpeg({ quality: 80 })
          .toBuffer(),
      ),
    );
    for (const [i, image] of images.entries()) {
      await ask('POST', `${pods[0]?.url}/api/v1/items`, { id: `image-${i}`, image: image.toString('base64') });
    }
    const phase = await measure(deployment, pods, images, quick);
    const millions = (deployment.hashes.length / 32e6).toLocaleString('en');
    return rowsOf(`${millions} M items, 2 replicas, ${users} users`, phase);
  } finally {
    delete process.env['QUINTET_REDIS_URL'];
    for (const pod of pods) await pod.end('SIGKILL');
    await stopRedis();
  }
}

async function measure(
  { hashes }: Deployment,
  pods: readonly Pod[],
  images: readonly Buffer[],
  quick: boolean,
): Promise<Phase> {
  const phase = { registered: [], disabled: [], requests: [], failed: [], ages: [], imported: 0 } as Phase & {
    imported: number;
  };
  const going = { on: true };
  const next = random(17);
  const podOf = (i: number) => pods[i % pods.length] as Pod;

  const user = async (i: number) => {
    for (let n = i; going.on; n++) {
      const begun = performance.now();
      // Most ask by hash, some show an image, a third of those one that no cache has.
      const image = images[Math.floor(images.length * next() ** 2)] as Buffer;
      const fresh = next() < 0.3 ? Buffer.concat([image, Buffer.from(`${i}-${n}`)]) : image;
      const hash = Buffer.from(query(hashes, hashes.length / 32, next)).toString('hex');
      const url = `${podOf(n).url}/api/v1/match`;
      try {
        const { status, text } =
          next() < 0.3
            ? await send('POST', url, fresh, 'image/jpeg')
            : await send('POST', url, JSON.stringify({ hash }));
        if (status === 200) phase.requests.push(performance.now() - begun);
        else phase.failed.push(`${status} ${text.slice(0, 100)}`);
      } catch (error) {
        phase.failed.push(String(error));
      }
    }
  };
  const watch = async () => {
    while (going.on) {
      for (const { url } of pods) {
        const { text } = await send('GET', `${url}/metrics`).catch((error: unknown) => ({ text: String(error) }));
        const age = /^quintet_matcher_index_age_seconds (\S+)/m.exec(text)?.[1];
        if (age === undefined) phase.failed.push(`metrics: ${text.slice(0, 100)}`);
        else phase.ages.push(1000 * Number(age));
      }
      await sleep(200);
    }
  };
  // More than a tail holds, so that segments are sorted and merged meanwhile.
  const bulk = async () => {
    for (let n = 0; going.on; n++) {
      const items = Array.from({ length: 200 }, (_, i) => ({ id: `bulk-${n}-${i}`, hash: randomHash(next) }));
      await ask('POST', `${podOf(n).url}/api/v1/items/import`, { items }).catch(() => undefined);
      phase.imported += items.length;
    }
  };

  const background = Promise.all([...Array.from({ length: users }, (_, i) => user(i)), watch(), bulk()]);
  try {
    for (let i = 0; i < changesOfPhase[quick ? 'quick' : 'full']; i++) {
      const [id, hash] = [`change-${i}`, randomHash(next)];
      await ask('POST', `${podOf(i).url}/api/v1/items`, { id, hash });
      phase.registered.push(await untilAll(pods, hash, (matches) => matches.includes(id)));
      await ask('PUT', `${podOf(i + 1).url}/api/v1/items/${id}/state`, { state: 'Disabled' });
      phase.disabled.push(await untilAll(pods, hash, (matches) => !matches.includes(id)));
    }
  } finally {
    going.on = false;
    await background;
  }
  return phase;
}

/** Milliseconds from now, when the change is acknowledged, until the last replica follows. */
async function untilAll(
  pods: readonly Pod[],
  hash: string,
  follows: (matches: readonly string[]) => boolean,
): Promise<number> {
  const begun = performance.now();
  await Promise.all(
    pods.map(async (pod) => {
      while (!follows(await matchesOf(pod, hash))) {
        if (performance.now() - begun > 60_000) throw new Error('a replica did not follow within a minute');
        await sleep(lookEvery);
      }
    }),
  );
  return performance.now() - begun;
}

function rowsOf(size: string, { registered, disabled, requests, failed, ages, imported }: Phase): Row[] {
  const base = { bench: 'matcher', size, better: 'lower', peers: {} } as const;
  const at = (values: readonly number[], share: number) =>
    values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] as number;
  for (const each of new Set(failed)) console.error(each);
  return [
    row(
      { ...base, case: 'registered → matchable on all', metric: 'p95', unit: 'ms', ours: at(registered, 0.95) },
      { absolute: 2000 },
    ),
    row({ ...base, case: 'registered → matchable on all', metric: 'most', unit: 'ms', ours: at(registered, 1) }),
    row(
      { ...base, case: 'disabled → silent on all', metric: 'p95', unit: 'ms', ours: at(disabled, 0.95) },
      { absolute: 2000 },
    ),
    row({ ...base, case: 'disabled → silent on all', metric: 'most', unit: 'ms', ours: at(disabled, 1) }),
    row({ ...base, case: 'searches meanwhile', metric: 'p95', unit: 'ms', ours: at(requests, 0.95) }),
    row({ ...base, case: 'searches meanwhile', metric: 'most', unit: 'ms', ours: at(requests, 1) }),
    row(
      {
        ...base,
        case: `failed of ${requests.length + failed.length} searches`,
        metric: 'failed',
        unit: '',
        ours: failed.length,
      },
      { absolute: 0 },
    ),
    row({ ...base, case: 'age of the index by its metric', metric: 'most', unit: 'ms', ours: at(ages, 1) }),
    row({ ...base, case: 'imported meanwhile', metric: 'items', unit: '', better: 'higher', ours: imported }),
  ];
}

function randomHash(next: () => number): string {
  return Array.from({ length: 32 }, () =>
    Math.floor(next() * 256)
      .toString(16)
      .padStart(2, '0'),
  ).join('');
}
