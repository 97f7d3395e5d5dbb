import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Watch } from '../watch.ts';
import { followCommands } from './commands.ts';

let directory: string;
let watch: Watch | undefined;
let ran: unknown[];
let logged: string[];
let registry: Registry;

const started = Date.parse('2026-01-01T12:00:00Z');
const write = (...commands: object[]) => writeFile(join(directory, 'healing.json'), JSON.stringify({ commands }));
const command = (id: string, more: object = {}) => ({
  id,
  at: '2026-01-01T12:00:30.000Z',
  action: 'clearCache',
  pods: ['pod-1'],
  ...more,
});
const log = { warn: () => undefined, error: (_what: unknown, says: string) => logged.push(says) };
async function follow(): Promise<Watch> {
  watch = await followCommands({
    file: join(directory, 'resource.json'),
    pod: 'pod-1',
    actions: {
      clearCache: async () => ran.push('cleared'),
      resizeCache: async (input) => ran.push(input),
      fails: async () => {
        throw new Error('no');
      },
    },
    registry,
    log: log as unknown as Parameters<typeof followCommands>[0]['log'],
    interval: 3_600_000,
    since: started,
  });
  return watch;
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quintet-commands-'));
  [ran, logged] = [[], []];
  registry = new Registry();
});
afterEach(async () => {
  watch?.close();
  await rm(directory, { recursive: true, force: true });
});

describe('commands of healing', () => {
  it('are carried out once, with their input, in their order', async () => {
    const following = await follow();
    await write(command('a'), command('b', { action: 'resizeCache', input: { maxEntries: 20 } }));
    await following.check();
    await write(command('a'), command('b', { action: 'resizeCache', input: { maxEntries: 20 } }), command('c'));
    await following.check();
    expect(ran).toEqual(['cleared', { maxEntries: 20 }, 'cleared']);
    expect(await registry.metrics()).toContain('quintet_commands_total{action="clearCache",outcome="done"} 2');
  });

  it('that name other pods or are older than this process are not its own', async () => {
    await write(command('old', { at: '2026-01-01T11:59:59.000Z' }), command('theirs', { pods: ['pod-2'] }));
    const following = await follow();
    await following.check();
    expect(ran).toEqual([]);
  });

  it('that came just before it looked are found', async () => {
    await write(command('a'));
    await follow();
    expect(ran).toEqual(['cleared']);
  });

  it('that fail or are not known stop nothing', async () => {
    const following = await follow();
    await write(command('a', { action: 'fails' }), command('b', { action: '__proto__' }), command('c'));
    await following.check();
    expect(ran).toEqual(['cleared']);
    expect(logged).toHaveLength(2);
    expect(await registry.metrics()).toContain('quintet_commands_total{action="unknown",outcome="failed"} 1');
  });

  it.each(['', '{', '{"commands":{}}', '{"commands":[{"id":1}]}'])('written as %j are told and left', async (text) => {
    const following = await follow();
    await writeFile(join(directory, 'healing.json'), text);
    await following.check();
    expect(ran).toEqual([]);
    expect(logged).toEqual(['commands of healing cannot be read']);
  });
});
