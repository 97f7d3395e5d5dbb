// A cache that follows a type, whatever befalls its connection.
import { beforeEach, describe, expect, test } from 'vitest';
import { refuse } from './testserver.ts';
import { client, configMaps, names, put, server, settled, until, useServer, watch, watchers } from './testwatch.ts';
import type { ResourceType } from './types.ts';
import { Watcher } from './watcher.ts';

useServer();

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
