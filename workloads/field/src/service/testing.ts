// Services of the small job over real HTTP, for tests.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Engine, startEngine } from '@quintet/runtime';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { smallJob, smallProblem, temporaryFolder } from '../job/testing.ts';
import { pressureAt } from '../physics/reference.ts';
import { drivenSources } from '../physics/sources.ts';
import { solve } from '../solver/solve.ts';
import { fieldService } from './engine.ts';

export const engines: Engine[] = [];
let plain: Engine;
export let url: string;
let lasting: string;

/** A service of the small job; `spec` changes members of it. */
export async function service(
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

/** Call it once in each file: a service for all of its tests, at `url`; those that a test starts end with it. */
export function useService(): void {
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
}

export type Json = Record<string, unknown>;
export async function post(path: string, body: unknown, base = url): Promise<{ status: number; body: Json }> {
  const answer = await fetch(new URL(path, base), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as Json };
}
export const slice = (query: string, base = url) => fetch(`${base}/v1/slice?${query}`);

export const problem = smallProblem();
export const sources = drivenSources(problem.emitters, solve(problem.emitters, problem.targets, problem.solver).drive);
/** What the job's own target gives, computed beside the service: real and imaginary part. */
export function truth(x: number, y: number, z: number): [number, number] {
  const out = new Float64Array(2);
  pressureAt(sources, x, y, z, out);
  return [out[0]!, out[1]!];
}
export const close = (got: readonly number[], want: readonly number[], scale = Math.hypot(...want)) =>
  got.every((value, i) => Math.abs(value - want[i]!) <= 1e-5 * scale);
