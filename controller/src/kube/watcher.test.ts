import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Client } from './client.ts';
import { refuse, TestServer } from './testserver.ts';
import type { KubeObject, ResourceType } from './types.ts';
import { type Change, Watcher, type WatcherOptions } from './watcher.ts';

const configMaps: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};

let server: TestServer;
let client: Client;
const watchers: Watcher[] = [];
beforeEach(async () => {
  server = await TestServer.start();
  client = new Client(server.connection);
});
afterEach(async () => {
  await Promise.all(watchers.splice(0).map((watcher) => watcher.stop()));
  await client.close();
  await server.stop();
});

function watch(options: Partial<WatcherOptions> = {}): { watcher: Watcher; changes: string[] } {
  const watcher = new Watcher({ client, type: configMaps, backoff: [5, 50], ...options });
  const changes: string[] = [];
  watcher.onChange((object: KubeObject, change: Change) => changes.push(`${change} ${object.metadata.name}`));
  watcher.start();
  watchers.push(watcher);
  return { watcher, changes };
}

function put(name: string, labels: Record<string, string> = {}, namespace = 'a'): KubeObject {
  return server.put(configMaps, {
    metadata: { namespace, name, labels },
    data: { at: String(Math.random()) },
  });
}

const ownMap = () => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'a', name: 'own' } });

function names(watcher: Watcher): string[] {
  return [...watcher.store.values()].map(({ metadata }) => metadata.name).sort();
}

async function until(condition: () => boolean): Promise<void> {
  await vi.waitFor(() => expect(condition()).toBe(true), { timeout: 15_000, interval: 5 });
}

async function settled(watcher: Watcher): Promise<void> {
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

describe.each([
  ['a server that streams lists', true],
  ['a server that only pages', false],
])('against %s', (_name, streamsLists) => {
  beforeEach(() => {
    server.streamsLists = streamsLists;
  });

  test('the cache follows what is there, comes, changes and goes', async () => {
    put('one');
    put('two');
    const { watcher, changes } = watch({ pageSize: 1 });
    await watcher.synced;
    expect(names(watcher)).toEqual(['one', 'two']);
    put('three');
    put('one');
    server.remove(configMaps, 'a', 'two');
    await until(() => changes.length === 5);
    expect(changes.slice(2)).toEqual(['added three', 'changed one', 'deleted two']);
    expect(watcher.store.get('a/one')).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
  });

  test('after 410 it lists anew and reports what vanished meanwhile', async () => {
    put('stays');
    put('goes');
    const { watcher, changes } = watch();
    await watcher.synced;
    await until(() => server.openWatches === 1);
    server.muted = true;
    server.remove(configMaps, 'a', 'goes');
    put('comes');
    server.compact();
    server.muted = false;
    server.cutWatches();
    await settled(watcher);
    expect(changes.slice(2).sort()).toEqual(['added comes', 'deleted goes']);
  });

  test('410 as an event in the stream has the same effect', async () => {
    put('goes');
    const { watcher, changes } = watch();
    await watcher.synced;
    await until(() => server.openWatches === 1);
    server.muted = true;
    server.remove(configMaps, 'a', 'goes');
    server.compact();
    server.inject(
      `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } })}\n`,
    );
    await until(() => changes.includes('deleted goes'));
    expect(names(watcher)).toEqual([]);
  });

  test('a restored backup replaces the cache though its versions are lower', async () => {
    put('before');
    put('kept');
    const { watcher } = watch();
    await watcher.synced;
    server.rewind(configMaps, [
      { metadata: { namespace: 'a', name: 'kept' } },
      { metadata: { namespace: 'a', name: 'restored' } },
    ]);
    await settled(watcher);
    expect(names(watcher)).toEqual(['kept', 'restored']);
    expect(watcher.store.get('a/kept')?.metadata.resourceVersion).toBe('11');
  });
});

test.each([
  ['a clean end', () => server.cutWatches()],
  ['a broken connection', () => server.cutWatches(true)],
  ['a malformed line', () => server.inject('{"type":"ADDED","object":{"met\n')],
  ['a line of JSON that is no event', () => server.inject('{"hello":1}\n')],
  [
    'an unknown event type',
    () => server.inject('{"type":"MOVED","object":{"metadata":{"name":"x","resourceVersion":"1"}}}\n'),
  ],
  ['an event without a version', () => server.inject('{"type":"ADDED","object":{"metadata":{"name":"x"}}}\n')],
  [
    'a line cut in the middle',
    () => {
      server.inject('{"type":"ADDED","obj');
      server.cutWatches();
    },
  ],
  [
    'an error event',
    () => server.inject('{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcd is away"}}\n'),
  ],
])('%s loses nothing: the watch resumes where it was', async (_name, disturb) => {
  put('one');
  const { watcher, changes } = watch();
  await watcher.synced;
  await until(() => server.openWatches === 1);
  const lists = server.requests.filter(({ query }) => query.has('sendInitialEvents')).length;
  server.muted = true;
  put('two');
  server.remove(configMaps, 'a', 'one');
  server.muted = false;
  disturb();
  await settled(watcher);
  expect(changes).toEqual(['added one', 'added two', 'deleted one']);
  expect(server.requests.filter(({ query }) => query.has('sendInitialEvents'))).toHaveLength(lists);
});

test('a stream cut inside the initial list deletes nothing and is not taken for whole', async () => {
  put('one');
  put('two');
  const { watcher, changes } = watch();
  await watcher.synced;
  let cuts = 3;
  server.intercept = (request, response) => {
    if (!request.query.has('sendInitialEvents') || cuts-- <= 0) return false;
    response.writeHead(200).end(`${JSON.stringify({ type: 'ADDED', object: server.get(configMaps, 'a', 'two') })}\n`);
    return true;
  };
  server.muted = true;
  put('three');
  server.compact();
  server.muted = false;
  server.cutWatches();
  await until(() => cuts < 0);
  await settled(watcher);
  expect(changes.filter((change) => change.startsWith('deleted'))).toEqual([]);
});

test('a silent socket is given up after the idle time', async () => {
  const { watcher } = watch({ idleMs: 300 });
  await watcher.synced;
  await until(() => server.openWatches === 1);
  server.muted = true;
  put('missed');
  server.muted = false;
  await settled(watcher);
  expect(names(watcher)).toEqual(['missed']);
});

test('bookmarks move the point from which a watch resumes', async () => {
  const { watcher } = watch();
  await watcher.synced;
  await until(() => server.openWatches === 1);
  const other = { ...configMaps, plural: 'secrets', kind: 'Secret' };
  const { metadata } = server.put(other, { metadata: { namespace: 'a', name: 'elsewhere' } });
  server.bookmark();
  server.cutWatches();
  await until(() => server.requests.at(-1)?.query.has('sendInitialEvents') === false);
  expect(server.requests.at(-1)?.query.get('resourceVersion')).toBe(metadata.resourceVersion);
});

test('429 on a list is waited out as the server asks; a server that refuses everything is not stormed', async () => {
  let refused = 0;
  server.intercept = (_request, response) => {
    refused++;
    refuse(response, 500, 'InternalError');
    return true;
  };
  const { watcher } = watch({ backoff: [20, 5000] });
  await until(() => refused >= 5);
  server.intercept = undefined;
  await watcher.synced;
  // Five doublings of at least 10 ms lie between: a hot loop would have made hundreds in that time.
  expect(refused).toBeLessThan(8);
});

test('only what the selector and the namespaces name is cached, each namespace by a watch of its own', async () => {
  put('mine', { team: 'x' });
  put('other', { team: 'y' });
  put('far', { team: 'x' }, 'b');
  put('elsewhere', { team: 'x' }, 'c');
  const { watcher } = watch({ labelSelector: 'team=x', namespaces: ['a', 'b'] });
  await watcher.synced;
  expect(names(watcher)).toEqual(['far', 'mine']);
  server.compact();
  server.cutWatches();
  put('second', { team: 'x' }, 'b');
  await until(() => watcher.store.size === 3);
});

test('a handler that throws is logged and the others still hear', async () => {
  const errors: object[] = [];
  const nothing = (): void => undefined;
  const watcher = new Watcher({
    client,
    type: configMaps,
    log: { debug: nothing, info: nothing, warn: nothing, error: (fields) => errors.push(fields) },
  });
  const heard: string[] = [];
  watcher.onChange(() => {
    throw new Error('no');
  });
  watcher.onChange((object) => heard.push(object.metadata.name));
  put('one');
  watcher.start();
  watchers.push(watcher);
  await watcher.synced;
  expect(heard).toEqual(['one']);
  expect(errors).toHaveLength(1);
});

test('bulk is stripped before caching', async () => {
  server.put(configMaps, {
    metadata: {
      namespace: 'a',
      name: 'fat',
      managedFields: [{ manager: 'x' }],
      annotations: { 'kubectl.kubernetes.io/last-applied-configuration': 'long', keep: 'me' },
    },
  });
  const { watcher } = watch();
  await watcher.synced;
  expect(JSON.parse(JSON.stringify(watcher.store.get('a/fat')?.metadata))).toMatchObject({
    annotations: { keep: 'me' },
  });
  expect(JSON.stringify(watcher.store.get('a/fat'))).not.toMatch('managedFields|last-applied');
});

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

test('a type that an older server lacks does not keep anybody waiting', async () => {
  server.intercept = (_request, response) => {
    refuse(response, 404, 'NotFound');
    return true;
  };
  const { watcher } = watch({ type: { ...configMaps, optional: true } });
  await watcher.synced;
  expect(names(watcher)).toEqual([]);
  const { watcher: needed } = watch();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(needed.isSynced).toBe(false);
});

test('an optional type is followed under the newest version that the server has, and empty where it goes', async () => {
  let served = 'v2';
  const asked: string[] = [];
  server.intercept = ({ path }, response) => {
    const [version = ''] = /(?<=test.dev\/)v\d/.exec(path) ?? [];
    asked.push(version);
    if (version === served) return false;
    refuse(response, 404, 'NotFound');
    return true;
  };
  const kites: ResourceType = { ...configMaps, group: 'test.dev', version: 'v3', plural: 'kites', kind: 'Kite' };
  server.put({ ...kites, version: 'v2' }, { metadata: { name: 'one', namespace: 'a' } });
  const { watcher } = watch({ type: { ...kites, optional: true, olderVersions: ['v2', 'v1'] } });
  await watcher.synced;
  expect(names(watcher)).toEqual(['one']);
  expect(asked).toEqual(['v3', 'v2']);
  served = 'none';
  server.cutWatches();
  await until(() => names(watcher).length === 0);
  expect(asked).toEqual(['v3', 'v2', 'v2', 'v1']);
});
