// The users of the service's bench, on a thread of their own: each asks again as soon as it is answered.
import { parentPort, workerData } from 'node:worker_threads';
import { random } from './pictures.ts';
import { type Connection, openConnection, requestOf } from './requests.ts';

export interface Load {
  readonly url: string;
  readonly bases: readonly Uint8Array[];
  readonly users: number;
  readonly requests: number;
  /** Share of requests whose bytes were asked for before. */
  readonly repeats: number;
  readonly seed: number;
}

export interface Outcome {
  readonly times: number[];
  readonly hitTimes: number[];
  readonly missTimes: number[];
  readonly failed: number;
  readonly seconds: number;
}

async function run(load: Load): Promise<Outcome> {
  const requests = mixOf(load).map((body) => requestOf(load.url, body, 'image/jpeg'));
  const connections = await Promise.all(Array.from({ length: load.users }, () => openConnection(load.url)));
  const outcome = { times: [] as number[], hitTimes: [] as number[], missTimes: [] as number[], failed: 0 };
  let at = 0;
  const begun = performance.now();
  const user = async ({ ask, end }: Connection) => {
    while (at < requests.length) {
      const request = requests[at++] as Uint8Array;
      const from = performance.now();
      const { status, text } = await ask(request).catch(() => ({ status: 0, text: '' }));
      const time = performance.now() - from;
      if (status !== 200) {
        outcome.failed++;
        continue;
      }
      outcome.times.push(time);
      (text.includes('"cached":true') ? outcome.hitTimes : outcome.missTimes).push(time);
    }
    end();
  };
  await Promise.all(connections.map(user));
  return { ...outcome, seconds: (performance.now() - begun) / 1000 };
}

/** Exactly the share of repeats, in any order, those drawn by Zipf's law: the image of rank r is asked for by 1/r. */
function mixOf({ bases, requests, repeats, seed }: Load): Uint8Array[] {
  const next = random(seed);
  const weights = bases.map((_, rank) => 1 / (rank + 1));
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  const drawn = () => {
    let left = next() * all;
    return bases[weights.findIndex((weight) => (left -= weight) < 0)] ?? bases[0];
  };
  const repeated = Math.round(requests * repeats);
  const order = Array.from({ length: requests }, (_, i) => ({ isRepeat: i < repeated, at: next() }));
  return order
    .toSorted((a, b) => a.at - b.at)
    .map(({ isRepeat }, i) => {
      if (isRepeat) return drawn() as Uint8Array;
      // Bytes after the end of a JPEG change nothing of the picture, and everything of the digest.
      return Buffer.concat([bases[i % bases.length] as Uint8Array, Buffer.from(`${seed}-${repeats}-${i}`)]);
    });
}

const outcome = await run(workerData as Load);
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
parentPort?.postMessage(outcome);
