// A MatcherPool under registration and search, and a client inside the cluster that judges each verdict by what was acknowledged to it.
import { stringify } from 'yaml';
import { eventually, type Kubectl } from '../kubectl.ts';
import { type Client, imageOf, startClient } from './inside.ts';

export interface Counts {
  registered: number;
  disabled: number;
  /** Changes that were not acknowledged, and why, by how often. */
  refused: number;
  searches: number;
  unanswered: number;
  /** Of those the ones that say that nobody answers for a shard. */
  shardMissing: number;
  /** Verdicts that name shards which are not in them. */
  partial: number;
  /** Longest time without an answered search, and without an acknowledged item. */
  silentMs: { searches: number; registrations: number };
  reasons: Record<string, number>;
  /** Verdicts that were wrong, in words. */
  wrong: string[];
  /** After the end: what was acknowledged and is not so. */
  lost?: string[];
}

export interface Pool {
  metadata: { generation: number };
  spec: object;
  status?: {
    phase?: string;
    observedGeneration?: number;
    readyReplicas?: number;
    index?: { items?: number; disabled?: number; age?: string };
  };
}

interface EnginePod {
  metadata: { name: string; deletionTimestamp?: string };
  status: { podIP?: string };
}

/** Ends pods with SIGKILL after a second, and waits until they are gone. */
export async function lose(kubectl: Kubectl, namespace: string, ...pods: string[]): Promise<void> {
  const names = pods.map((pod) => `pod/${pod}`);
  await kubectl.run(['delete', ...names, '-n', namespace, '--grace-period=1', '--wait', '--timeout=60s'], {
    timeoutMs: 70_000,
  });
}

/** A pool of that name, and what is done to it. */
export class MatcherPool {
  readonly #kubectl: Kubectl;
  readonly namespace: string;
  readonly name: string;

  constructor(kubectl: Kubectl, namespace: string, name: string) {
    this.#kubectl = kubectl;
    this.namespace = namespace;
    this.name = name;
  }

  get url(): string {
    return `http://${this.name}-matcher.${this.namespace}.svc`;
  }

  async apply(spec: object): Promise<void> {
    const metadata = { name: this.name, namespace: this.namespace };
    await this.#kubectl.apply(
      stringify({ apiVersion: 'quintet.dev/v1alpha1', kind: 'MatcherPool', metadata, spec: { ...small, ...spec } }),
    );
  }

  async get(): Promise<Pool> {
    return await this.#kubectl.json<Pool>(['get', 'matcherpool', this.name, '-n', this.namespace]);
  }

  /** Waits until it is Ready with so many pods. */
  async ready(pods: number): Promise<Pool> {
    return await eventually(
      `the pool is Ready with ${pods} pods`,
      async () => {
        const one = await this.get();
        const { phase, observedGeneration, readyReplicas } = one.status ?? {};
        const isLatest = observedGeneration === one.metadata.generation;
        return phase === 'Ready' && isLatest && readyReplicas === pods ? one : undefined;
      },
      {
        timeoutMs: 240_000,
        describe: () =>
          this.#kubectl.run(['describe', 'matcherpool,pods', '-n', this.namespace], { timeoutMs: 30_000 }),
      },
    );
  }

  /** Names of those that do not end, by their addresses. */
  async pods(): Promise<Map<string, string>> {
    const args = ['get', 'pods', '-n', this.namespace, '-l', `quintet.dev/name=${this.name}`];
    const { items } = await this.#kubectl.json<{ items: EnginePod[] }>(args);
    return new Map(
      items.flatMap(({ metadata, status }) =>
        metadata.deletionTimestamp || !status.podIP ? [] : [[status.podIP, metadata.name] as const],
      ),
    );
  }

  /** Starts the client that registers, disables and searches until it is told to end. */
  async client(): Promise<Traffic> {
    const { namespace, url } = this;
    const image = await imageOf(this.#kubectl, namespace, this.name);
    const name = `${this.name}-client`;
    return new Traffic(
      this.#kubectl,
      await startClient(this.#kubectl, { namespace, name, image, script: script(url) }),
      {
        namespace,
        name,
      },
    );
  }
}

const small = {
  rateLimits: { perClient: { requests: 1_000_000 } },
  resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '1Gi' } },
};

export class Traffic {
  readonly #kubectl: Kubectl;
  readonly #client: Client<Counts>;
  readonly #pod: { namespace: string; name: string };

  constructor(kubectl: Kubectl, client: Client<Counts>, pod: { namespace: string; name: string }) {
    this.#kubectl = kubectl;
    this.#client = client;
    this.#pod = pod;
  }

  counts(): Promise<Counts> {
    return this.#client.latest();
  }

  /** Waits for more registrations and answered searches, whatever happened before. */
  async goesOn(what: string, more = 20): Promise<void> {
    const done = ({ registered, searches, unanswered }: Counts) => [registered, searches - unanswered] as const;
    const before = done(await this.counts());
    await eventually(
      `registering and searching go on ${what}`,
      async () => done(await this.counts()).every((count, i) => count >= (before[i] ?? 0) + more),
      { timeoutMs: 120_000, everyMs: 500, describe: async () => JSON.stringify(await this.counts()) },
    );
  }

  /** Has it end, and look for all that was acknowledged. */
  async end(): Promise<Counts> {
    const { namespace, name } = this.#pod;
    await this.#kubectl.run(['exec', name, '-n', namespace, '--', 'node', '-e', 'process.kill(1, "SIGUSR2")']);
    return await this.#client.ended();
  }
}

/** Every fifth item is a picture, every tenth is disabled again. What a request that failed has done is not known: such items are forgotten. */
const script = (url: string) => `
  import { randomBytes, randomInt } from 'node:crypto';
  import { crc32, deflateSync } from 'node:zlib';
  const counts = {
    registered: 0, disabled: 0, refused: 0, searches: 0, unanswered: 0, shardMissing: 0, partial: 0,
    silentMs: { searches: 0, registrations: 0 }, reasons: {}, wrong: [],
  };
  const inForce = [], disabled = [];
  // A cluster that is kept has the items of earlier runs.
  const run = randomBytes(4).toString('hex');
  const pause = (ms) => new Promise((next) => setTimeout(next, ms));
  const call = async (method, path, body) => {
    const init = body ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {};
    const answer = await fetch('${url}' + path, { method, ...init, signal: AbortSignal.timeout(10000) });
    const given = await answer.json();
    if (!answer.ok) throw new Error(answer.status + ' ' + given.error?.message);
    return given;
  };
  const failed = (error) => {
    const reason = String(error.cause?.code ?? error.message).slice(0, 60);
    counts.reasons[reason] = (counts.reasons[reason] ?? 0) + 1;
    return reason;
  };
  /** A PNG of random blocks. */
  const picture = () => {
    const size = 128, colours = randomBytes(192), rows = Buffer.alloc(size * (1 + 3 * size));
    for (let y = 0; y < size; y++) for (let x = 0; x < 3 * size; x++)
      rows[y * (1 + 3 * size) + 1 + x] = colours[3 * (8 * (y >> 4) + (Math.floor(x / 3) >> 4)) + (x % 3)];
    const chunk = (type, data) => {
      const body = Buffer.concat([Buffer.from(type), data]), frame = Buffer.alloc(8);
      frame.writeUInt32BE(data.length, 0); frame.writeUInt32BE(crc32(body), 4);
      return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
    };
    const head = Buffer.alloc(13);
    head.writeUInt32BE(size, 0); head.writeUInt32BE(size, 4); head.set([8, 2, 0, 0, 0], 8);
    const magic = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
    return Buffer.concat([magic, chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]).toString('base64');
  };
  /** The hash with so many bits turned. */
  const near = (hash, bits) => {
    const bytes = Buffer.from(hash, 'hex');
    for (let i = 0; i < bits; i++) { const bit = randomInt(256); bytes[bit >> 3] ^= 1 << (bit & 7); }
    return bytes.toString('hex');
  };
  const strange = (i) => (i % 5 === 4 ? { image: picture() } : { hash: randomBytes(32).toString('hex') });
  const since = { searches: Date.now(), registrations: Date.now() };
  const done = (what) => {
    counts.silentMs[what] = Math.max(counts.silentMs[what], Date.now() - since[what]);
    since[what] = Date.now();
  };
  let ending = false;
  process.once('SIGUSR2', () => { ending = true; });

  const change = async () => {
    for (let i = 0; !ending; i++) {
      const item = { id: run + '-' + i, ...strange(i) };
      try {
        const { state } = await call('POST', '/api/v1/items', item);
        if (state !== 'Enabled') counts.wrong.push(item.id + ' was registered as ' + state);
        counts.registered++;
        done('registrations');
        inForce.push({ ...item, at: Date.now() });
        if (i % 10 !== 5) continue;
        const [old] = inForce.splice(randomInt(inForce.length), 1);
        await call('PUT', '/api/v1/items/' + old.id + '/state', { state: 'Disabled' });
        counts.disabled++;
        disabled.push({ ...old, at: Date.now() });
      } catch (error) { counts.refused++; failed(error); } finally { await pause(20); }
    }
  };
  const ask = async (query) => {
    counts.searches++;
    try {
      const verdict = await call('POST', '/api/v1/match', query);
      done('searches');
      if (verdict.shards?.missing.length > 0) counts.partial++;
      return verdict;
    } catch (error) {
      counts.unanswered++;
      if (/shards nobody answers/.test(failed(error))) counts.shardMissing++;
    }
  };
  const any = (items) => {
    // A verdict says how old its index may be: while PostgreSQL is away, a replica knows nothing younger.
    const old = items.findLastIndex(({ at }) => at < Date.now() - 2000);
    return old < 0 ? undefined : items[randomInt(old + 1)];
  };
  const asked = ({ hash, image }) => (hash ? { hash: near(hash, 8) } : { image });
  const has = (verdict, id) => verdict.matches.some(({ item }) => item === id);
  const search = async () => {
    for (let i = 0; !ending; i++) {
      const stranger = await ask(strange(i));
      if (stranger?.matched) counts.wrong.push('a stranger matched ' + stranger.matches[0].item);
      const [there, gone] = [any(inForce), any(disabled)];
      for (const [item, wanted] of [[there, true], [gone, false]]) {
        if (!item) continue;
        const at = Date.now();
        const verdict = await ask(asked(item));
        if (!verdict || has(verdict, item.id) === wanted) continue;
        if (wanted && (verdict.shards?.missing.length > 0 || !inForce.includes(item))) continue;
        if (item.at >= at - verdict.indexAge - 2000) continue;
        counts.wrong.push(item.id + (wanted ? ' was not found ' : ' was found though disabled ') + (Date.now() - item.at) + ' ms after, by an index of ' + verdict.indexAge + ' ms');
      }
      await pause(20);
    }
  };
  const telling = setInterval(() => console.log(JSON.stringify(counts)), 1000);
  await Promise.all([change(), search(), search()]);

  const lost = (counts.lost = []);
  const check = async (item, state) => {
    for (let attempt = 0; ; attempt++) {
      try {
        const kept = await call('GET', '/api/v1/items/' + item.id);
        const verdict = await call('POST', '/api/v1/match', item.hash ? { hash: item.hash } : { image: item.image });
        if (kept.state === state && has(verdict, item.id) === (state === 'Enabled')) return;
        if (attempt === 5) return lost.push(item.id + ' is ' + kept.state + ': ' + JSON.stringify(verdict).slice(0, 200));
      } catch (error) { if (attempt === 5) return lost.push(item.id + ': ' + error); }
      await pause(500);
    }
  };
  const all = [...inForce.map((item) => [item, 'Enabled']), ...disabled.map((item) => [item, 'Disabled'])];
  const worker = async () => { for (let next = all.pop(); next; next = all.pop()) await check(...next); };
  await Promise.all(Array.from({ length: 8 }, worker));
  clearInterval(telling);
  console.log(JSON.stringify(counts));`;
