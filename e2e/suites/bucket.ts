// A bucket in the cluster: as much of S3 as FieldJobs speak, held in memory by a pod of an engine's image, and told when to be away.
import { eventually, type Kubectl } from '../kubectl.ts';
import { inside, strictPod } from './inside.ts';

const name = 'store';
const port = 9000;

/** Path-style PUT, GET, DELETE and ListObjectsV2 of any bucket; on SIGUSR2 nothing listens for a minute. */
const server = `
  import { createServer } from 'node:http';
  import { createHash } from 'node:crypto';
  const kept = new Map();
  const xml = { 'content-type': 'application/xml' };
  const digest = (prefix) => {
    const hash = createHash('sha256');
    const keys = [...kept.keys()].filter((key) => key.startsWith(prefix)).sort();
    for (const key of keys) hash.update(key.slice(prefix.length)).update(kept.get(key));
    return keys.length + ' ' + hash.digest('hex');
  };
  const listing = (prefix, flat) => {
    const below = [...kept.keys()].filter((key) => key.startsWith(prefix));
    const keys = below.filter((key) => flat || !key.slice(prefix.length).includes('/'));
    const folders = flat ? [] : below.filter((key) => !keys.includes(key)).map((key) => key.slice(prefix.length).split('/')[0]);
    return '<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>'
      + keys.map((key) => '<Contents><Key>' + key + '</Key></Contents>').join('')
      + [...new Set(folders)].map((each) => '<CommonPrefixes><Prefix>' + prefix + each + '/</Prefix></CommonPrefixes>').join('')
      + '</ListBucketResult>';
  };
  const app = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://store');
    if (url.pathname === '/-/digest') return response.end(JSON.stringify({ digest: digest(url.searchParams.get('prefix')) }));
    const chunks = [];
    try { for await (const chunk of request) chunks.push(chunk); } catch { return; }
    const key = decodeURIComponent(url.pathname).slice(1);
    if (request.method === 'PUT') { kept.set(key, Buffer.concat(chunks)); return response.writeHead(200).end(); }
    if (request.method === 'DELETE') { kept.delete(key); return response.writeHead(204).end(); }
    if (!key.includes('/') || key.endsWith('/')) {
      const bucket = key.split('/')[0];
      const listed = listing(bucket + '/' + (url.searchParams.get('prefix') ?? ''), !url.searchParams.has('delimiter'));
      return response.writeHead(200, xml).end(listed.replaceAll('<Key>' + bucket + '/', '<Key>').replaceAll('<Prefix>' + bucket + '/', '<Prefix>'));
    }
    const found = kept.get(key);
    if (found) return response.writeHead(200, { 'content-length': found.length }).end(found);
    response.writeHead(404, xml).end('<Error><Code>NoSuchKey</Code></Error>');
  });
  process.on('SIGUSR2', () => {
    app.close();
    app.closeAllConnections();
    setTimeout(() => app.listen(${port}), 60000);
  });
  app.listen(${port});`;

export interface Bucket {
  readonly endpoint: string;
  /** From now on nothing listens, for a minute. */
  away: () => Promise<void>;
  /** How many objects lie below the prefix, and the digest of their names and bytes. */
  digest: (prefix: string) => Promise<string>;
}

/** @param image One that has Node. */
export async function startBucket(kubectl: Kubectl, namespace: string, image: string): Promise<Bucket> {
  const labels = { app: name };
  const container = {
    name: 'engine',
    image,
    command: ['node', '--input-type=module', '-e', server],
    ports: [{ containerPort: port }],
    readinessProbe: { tcpSocket: { port }, periodSeconds: 1 },
    resources: { requests: { cpu: '20m', memory: '128Mi' } },
  };
  const objects = [
    { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, labels }, spec: strictPod(container) },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace },
      // Away is not the same as not ready: clients must meet a closed door, not a missing address.
      spec: { selector: labels, ports: [{ port }], publishNotReadyAddresses: true },
    },
  ];
  await kubectl.apply(objects.map((object) => JSON.stringify(object)).join('\n---\n'));
  await kubectl.run(['wait', `pod/${name}`, '-n', namespace, '--for=condition=Ready', '--timeout=60s'], {
    timeoutMs: 70_000,
  });
  const told = async (prefix: string) => {
    const url = `http://127.0.0.1:${port}/-/digest?prefix=${encodeURIComponent(prefix)}`;
    const script = `console.log(await (await fetch(${JSON.stringify(url)})).text());`;
    return await inside<{ digest: string }>(kubectl, namespace, name, script);
  };
  return {
    endpoint: `http://${name}.${namespace}.svc:${port}`,
    away: async () => {
      await inside(kubectl, namespace, name, `process.kill(1, 'SIGUSR2'); console.log('true');`);
    },
    digest: async (prefix) =>
      (await eventually('the bucket tells its digest', () => told(prefix), { timeoutMs: 90_000 })).digest,
  };
}
