// Watchers of ConfigMaps for tests, on a server of their own for each.
import { afterEach, beforeEach, expect, vi } from 'vitest';
import { types } from '../objects/types.ts';
import { Client } from './client.ts';
import { TestServer } from './testserver.ts';
import type { KubeObject } from './types.ts';
import { type Change, Watcher, type WatcherOptions } from './watcher.ts';

export const configMaps = types.configMap;

export let server: TestServer;
export let client: Client;
export const watchers: Watcher[] = [];

/** Call it once in each file. */
export function useServer(): void {
  beforeEach(async () => {
    server = await TestServer.start();
    client = new Client(server.connection);
  });
  afterEach(async () => {
    await Promise.all(watchers.splice(0).map((watcher) => watcher.stop()));
    await client.close();
    await server.stop();
  });
}

export function watch(options: Partial<WatcherOptions> = {}): { watcher: Watcher; changes: string[] } {
  const watcher = new Watcher({ client, type: configMaps, backoff: [5, 50], ...options });
  const changes: string[] = [];
  watcher.onChange((object: KubeObject, change: Change) => changes.push(`${change} ${object.metadata.name}`));
  watcher.start();
  watchers.push(watcher);
  return { watcher, changes };
}

export function put(name: string, labels: Record<string, string> = {}, namespace = 'a'): KubeObject {
  return server.put(configMaps, {
    metadata: { namespace, name, labels },
    data: { at: String(Math.random()) },
  });
}

export function names(watcher: Watcher): string[] {
  return [...watcher.store.values()].map(({ metadata }) => metadata.name).sort();
}

export async function until(condition: () => boolean): Promise<void> {
  await vi.waitFor(() => expect(condition()).toBe(true), { timeout: 15_000, interval: 5 });
}

export async function settled(watcher: Watcher): Promise<void> {
  await until(
    () =>
      JSON.stringify(names(watcher)) ===
      JSON.stringify(
        server
          .all(configMaps)
          .map(({ metadata }) => metadata.name)
          .sort(),
      ),
  );
}
