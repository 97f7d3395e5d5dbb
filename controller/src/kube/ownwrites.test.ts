// What a watcher makes of what its own process writes.
import { describe, expect, test } from 'vitest';
import { client, configMaps, names, put, server, until, useServer, watch } from './testwatch.ts';

useServer();

const ownMap = () => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'a', name: 'own' } });

describe('own writes', () => {
  test('are readable at once, and their echo calls no handler', async () => {
    const { watcher, changes } = watch();
    await watcher.synced;
    await until(() => server.openWatches === 1);
    server.muted = true;
    const written = await client.apply(configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace: 'a', name: 'own' },
    });
    watcher.offer(written);
    expect(names(watcher)).toEqual(['own']);
    server.muted = false;
    server.cutWatches();
    put('later');
    await until(() => changes.length === 1);
    expect(changes).toEqual(['added later']);
  });

  test.each(['before', 'after'])('call no handler, whether their event comes %s the answer', async (order) => {
    const { watcher, changes } = watch();
    await watcher.synced;
    await until(() => server.openWatches === 1);
    await watcher.write('a/own', async () => {
      const made = await client.create(configMaps, ownMap());
      if (order === 'before') await until(() => names(watcher).includes('own'));
      return made;
    });
    expect(names(watcher)).toEqual(['own']);
    put('later');
    await until(() => changes.length === 1);
    expect(changes).toEqual(['added later']);
  });

  test('under way keep back what others change meanwhile, until they are answered', async () => {
    const { watcher, changes } = watch();
    put('own');
    await until(() => changes.length === 1);
    await watcher.write('a/own', async () => {
      const applied = await client.apply(configMaps, ownMap());
      put('own', { by: 'somebody' });
      put('later');
      await until(() => names(watcher).includes('later'));
      expect(changes).toEqual(['added own', 'added later']);
      return applied;
    });
    expect(changes).toEqual(['added own', 'added later', 'changed own']);
  });

  test('are not read again from the watch, which tells them by the beginning of their event', async () => {
    const { watcher, changes } = watch();
    put('own');
    await until(() => changes.length === 1);
    const version = Number(watcher.store.get('a/own')?.metadata.resourceVersion);
    const event = (name: string, resourceVersion: number, rest: string) =>
      `{"type":"ADDED","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"${name}","namespace":"a","uid":"1","resourceVersion":"${resourceVersion}"${rest}\n`;
    server.intercept = ({ query }, response) => {
      if (!query.has('watch')) return false;
      response.writeHead(200);
      response.write(event('own', version, ', and so on'));
      response.write(event('later', version + 1, '}}}'));
      return true;
    };
    server.cutWatches();
    await until(() => changes.length === 2);
    expect(changes).toEqual(['added own', 'added later']);
  });

  test('that fail tell what was kept back, and an end is told at once', async () => {
    const { watcher, changes } = watch();
    await watcher.synced;
    await until(() => server.openWatches === 1);
    const failing = watcher.write('a/own', async () => {
      put('own');
      await until(() => names(watcher).includes('own'));
      throw new Error('no answer');
    });
    await expect(failing).rejects.toThrow('no answer');
    expect(changes).toEqual(['added own']);
    await watcher.write('a/own', async () => {
      server.remove(configMaps, 'a', 'own');
      await until(() => changes.includes('deleted own'));
      return await client.create(configMaps, ownMap());
    });
  });

  test('that the watch has passed are not taken back into the cache', async () => {
    const { watcher } = watch();
    await watcher.synced;
    const written = await client.apply(configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace: 'a', name: 'own' },
    });
    server.remove(configMaps, 'a', 'own');
    put('marker');
    await until(() => names(watcher).includes('marker'));
    watcher.offer(written);
    expect(names(watcher)).toEqual(['marker']);
  });
});
