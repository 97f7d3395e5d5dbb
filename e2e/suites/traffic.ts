// Requests that never stop, from a pod inside the cluster: what a change does to the clients of a service.
import { eventually, type Kubectl } from '../kubectl.ts';
import { startClient } from './inside.ts';

export interface Counts {
  ok: number;
  failed: number;
  /** The first failures, in words. */
  first: string[];
}

export interface Traffic {
  counts: () => Promise<Counts>;
  /** What was sent until now, after which nothing more is. */
  stop: () => Promise<Counts>;
}

/** Starts clients that post `body` to `url` over and over, by the image of an engine, which has Node. */
export async function startTraffic(
  kubectl: Kubectl,
  { namespace, name, url, body, image }: { namespace: string; name: string; url: string; body: object; image: string },
): Promise<Traffic> {
  const { latest: counts } = await startClient<Counts>(kubectl, { namespace, name, image, script: script(url, body) });
  await eventually('the clients are answered', async () => (await counts()).ok > 10, { timeoutMs: 60_000 });
  return {
    counts,
    async stop() {
      // The next line holds what was sent before this call.
      const before = await counts();
      const last = await eventually('the clients count on', async () => {
        const now = await counts();
        return now.ok + now.failed > before.ok + before.failed && now;
      });
      await kubectl.run(['delete', 'pod', name, '-n', namespace]);
      return last;
    },
  };
}

const script = (url: string, body: object) => `
  let ok = 0, failed = 0; const first = [];
  const one = async (i) => {
    try {
      const answer = await fetch(${JSON.stringify(url)}, {
        method: 'POST', headers: { 'content-type': 'application/json' }, signal: AbortSignal.timeout(10000),
        body: JSON.stringify(${JSON.stringify(body)}).replaceAll('SERIAL', i),
      });
      const text = await answer.text();
      if (answer.status === 200) ok++; else throw new Error(answer.status + ' ' + text.slice(0, 200));
    } catch (error) { failed++; if (first.length < 5) first.push(String(error.cause ?? error)); }
  };
  const clients = [0, 1, 2].map(async (client) => {
    for (let i = 0; ; i++) { await one(client + '-' + i); await new Promise((next) => setTimeout(next, 30)); }
  });
  setInterval(() => console.log(JSON.stringify({ ok, failed, first })), 500);`;
