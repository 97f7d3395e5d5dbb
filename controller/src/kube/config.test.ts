import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ConfigError, fromKubeconfig, inCluster, loadConnection, tokenFile } from './config.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quintet-config-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function write(name: string, text: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}

function kubeconfig(user: object, cluster: object = {}): string {
  return JSON.stringify({
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u', namespace: 'team' } }],
    clusters: [{ name: 'k', cluster: { server: 'https://host:6443/', ...cluster } }],
    users: [{ name: 'u', user }],
  });
}

test('certificates come inline or from files beside the kubeconfig', async () => {
  await write('ca.pem', 'CA');
  const path = await write(
    'config',
    kubeconfig(
      {
        'client-certificate-data': Buffer.from('CERT').toString('base64'),
        'client-key-data': Buffer.from('KEY').toString('base64'),
      },
      { 'certificate-authority': 'ca.pem' },
    ),
  );
  const connection = await loadConnection({ KUBECONFIG: path });
  expect(connection.server).toBe('https://host:6443');
  expect(connection.namespace).toBe('team');
  expect(Object.entries(connection.tls).map(([name, value]) => `${name}=${String(value)}`)).toEqual([
    'ca=CA',
    'cert=CERT',
    'key=KEY',
  ]);
  expect(await connection.authorization()).toBeUndefined();
});

test('a token, a password and an exec plugin become an Authorization header', async () => {
  const token = await fromKubeconfig([await write('token', kubeconfig({ token: 'abc' }))]);
  expect(await token.authorization()).toBe('Bearer abc');
  const password = await fromKubeconfig([await write('password', kubeconfig({ username: 'a', password: 'b' }))]);
  expect(await password.authorization()).toBe(`Basic ${Buffer.from('a:b').toString('base64')}`);
  const credential = JSON.stringify({ status: { token: 'from-plugin' } });
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: process.execPath,
    args: ['-e', `console.log('${credential}')`],
  };
  const plugin = await fromKubeconfig([await write('exec', kubeconfig({ exec }))]);
  expect(await plugin.authorization()).toBe('Bearer from-plugin');
});

test('a token file is read again after a minute, and at once when the server refused the token', async () => {
  const path = await write('token', 'first\n');
  let now = 0;
  const authorization = tokenFile(path, () => now);
  expect(await authorization()).toBe('Bearer first');
  await writeFile(path, 'second');
  now = 59_000;
  expect(await authorization()).toBe('Bearer first');
  expect(await authorization(true)).toBe('Bearer second');
  await writeFile(path, 'third');
  now = 200_000;
  expect(await authorization()).toBe('Bearer third');
  await rm(path);
  now = 400_000;
  expect(await authorization()).toBe('Bearer third');
});

test("in a pod the service account's files are used, and an IPv6 host gets its brackets", async () => {
  await write('ca.crt', 'CA\n');
  await write('namespace', 'quintet-system\n');
  await write('token', 'pod-token');
  const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
  const connection = inCluster(env, directory);
  expect(connection).toMatchObject({ server: 'https://[fd00::1]:443', namespace: 'quintet-system', tls: { ca: 'CA' } });
  expect(await connection.authorization()).toBe('Bearer pod-token');
});

test('of several files the first that names an entry wins', async () => {
  const first = await write(
    'first',
    JSON.stringify({ 'current-context': 'c', users: [{ name: 'u', user: { token: 'one' } }] }),
  );
  const second = await write('second', kubeconfig({ token: 'two' }));
  const connection = await loadConnection({ KUBECONFIG: `${first}:${second}` });
  expect(await connection.authorization()).toBe('Bearer one');
});

test.each([
  ['a file that is missing', { KUBECONFIG: '/nonexistent/config' }, 'cannot read /nonexistent/config'],
  ['nothing at all', { HOME: '/nonexistent' }, 'no cluster to talk to'],
])('%s is said', async (_name, env, message) => {
  await expect(loadConnection(env)).rejects.toThrow(message);
});

test.each([
  ['no YAML', '{{{', ConfigError],
  [
    'a context that is missing',
    JSON.stringify({ 'current-context': 'gone' }),
    'current-context "gone" is not among its contexts',
  ],
  [
    'a cluster that is missing',
    JSON.stringify({ 'current-context': 'c', contexts: [{ name: 'c', context: { cluster: 'gone', user: 'u' } }] }),
    'cluster "gone" of context "c" is missing',
  ],
  ['a proxy', kubeconfig({}, { 'proxy-url': 'http://proxy' }), 'proxy-url is not supported'],
])('%s in a kubeconfig is a ConfigError', async (_name, text, message) => {
  const path = await write('config', text);
  await expect(fromKubeconfig([path])).rejects.toThrow(message);
});
