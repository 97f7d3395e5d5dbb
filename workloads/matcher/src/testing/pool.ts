// A pool for tests: engines of one record in this process, asked by HTTP.
import './commonjs.ts';
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Engine, startEngine } from '@quintet/runtime';
import { eventually } from '@quintet/runtime/testing';
import { verdict } from '../service/answers.ts';
import { matcherEngine } from '../service/engine.ts';
import { picture } from './picture.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';

export interface Answer {
  matched: boolean;
  score: number;
  cached: boolean;
  frames?: { of: number; read: number; judged: number[] };
  matches: { item: string; score: number; evidence: { frame?: number; variant?: string } }[];
}

/** @param more Of the configuration of both. */
export async function startPool(more: object = {}): Promise<TestPool> {
  const pool = new TestPool(await startPostgres(), await mkdtemp(join(tmpdir(), 'quintet-matcher-')));
  for (const name of ['a', 'b']) pool.replicas.push(await pool.replica(name, more));
  return pool;
}

export class TestPool {
  readonly postgres: TestPostgres;
  /** Of configurations and snapshots. */
  readonly directory: string;
  /** Asked by their place; tests may add to the first two and take away again. */
  readonly replicas: Engine[] = [];
  #count = 0;

  constructor(postgres: TestPostgres, directory: string) {
    this.postgres = postgres;
    this.directory = directory;
  }

  async stop(): Promise<void> {
    await Promise.all(this.replicas.map((each) => each.drain()));
    await this.postgres.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  async replica(name: string, more: object = {}): Promise<Engine> {
    const configFile = await this.configuration(name, more);
    const env = { QUINTET_POSTGRES_URL: this.postgres.url, QUINTET_SNAPSHOT_DIRECTORY: this.directory };
    const engine = await startEngine(matcherEngine(env), { configFile, env });
    await engine.started;
    return engine;
  }

  /** Writes the configuration and returns its file. */
  async configuration(name: string, more: object): Promise<string> {
    const file = join(this.directory, `${name}.json`);
    const config = {
      server: { host: '127.0.0.1', port: 0, drainDelay: '10ms' },
      logging: { level: 'silent' },
      level: 'Accuracy',
      hashing: { minQuality: 30 },
      exchange: { export: 'Enabled' },
      cache: { disk: { maxSize: '64Mi', directory: join(this.directory, `${name}-cache`) } },
    };
    await writeFile(file, JSON.stringify({ ...config, ...more }));
    return file;
  }

  /** A new item that every replica finds, and its picture, which is in no cache yet. */
  async registered(more: object = {}): Promise<{ id: string; png: Buffer }> {
    const id = `item-${++this.#count}`;
    const png = await picture(this.#count);
    const { status, body } = await this.call('POST', '/api/v1/items', { id, image: png.toString('base64'), ...more });
    assert.equal(status, 201);
    const { hash, state } = body as { hash: string; state: string };
    assert.equal(state, 'Enabled');
    for (const at of this.replicas.keys()) {
      await eventually(async () => {
        const { matches } = await this.match({ hash }, at);
        assert.ok(matches.some(({ item }) => item === id));
      });
    }
    return { id, png };
  }

  async match(query: { image?: Buffer; [name: string]: unknown }, at = 0): Promise<Answer> {
    const { image, ...rest } = query;
    const body = { ...rest, ...(image && { image: image.toString('base64') }) };
    const answer = await this.call('POST', '/api/v1/match', body, at);
    assert.equal(answer.status, 200);
    // What /openapi.json says of it.
    verdict.parse(answer.body);
    return answer.body as Answer;
  }

  async call(method: string, path: string, body?: unknown, at = 0): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${this.replicas[at]?.url}${path}`, {
      method,
      ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
  }

  async post(path: string, body: unknown): Promise<Response> {
    const headers = { 'content-type': 'application/json' };
    return await fetch(`${this.replicas[0]?.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  }
}
