// A FieldJob of 8 shards while what it stands on gives way: S3 is away for a minute, its pods are killed, its volume is full. The
// field at the end is that of a run which nothing disturbed, bit for bit.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Kubectl } from '../kubectl.ts';
import { engineImage } from '../results.ts';
import { type Bucket, startBucket } from './bucket.ts';
import type { Condition } from './served.ts';
import { freshNamespace, type Shared, sharedCluster } from './shared.ts';

const namespace = 'e2e-field-storms';
const spacing = '0.2mm';
let shared: Shared;
let kubectl: Kubectl;
let bucket: Bucket;

interface FieldJob {
  status?: {
    phase?: string;
    progress?: { done: number; running?: number };
    throughput?: { method: string };
    conditions?: Condition[];
  };
}

const limits = { memory: '1Gi' };
const ways = [
  { method: 'DirectSum', chosen: 'DirectSum', work: { limits, quantities: ['Pressure'] } },
  // More numbers at each point and less of a core, for it would be over before anything is disturbed.
  {
    method: 'Auto',
    chosen: 'Interpolated',
    work: { limits: { ...limits, cpu: '300m' }, quantities: ['Pressure', 'Force'] },
  },
] as const;
type Way = (typeof ways)[number];
const direct = ways[0];

const fieldJob = (name: string, { method, work: { limits: most, quantities } }: Way, output: object) => ({
  apiVersion: 'quintet.dev/v1alpha1',
  kind: 'FieldJob',
  metadata: { name, namespace },
  spec: {
    array: { type: 'TwoSided', twoSided: { rows: 16, columns: 16, pitch: '10.5mm', separation: '120mm' } },
    targets: [{ name: 'bead', position: ['0mm', '0mm', '60mm'], trap: 'Twin' }],
    volume: { center: ['0mm', '0mm', '60mm'], size: ['40mm', '40mm', '40mm'], spacing },
    method,
    quantities,
    shards: { max: 8, parallelism: { min: 1, max: 2 } },
    output,
    resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: most },
  },
});
const inBucket = (name: string, way: Way) =>
  fieldJob(name, way, {
    s3: { bucket: 'fields', prefix: name, endpoint: bucket.endpoint, secretRef: { name: 'keys' } },
  });

const get = (name: string) => kubectl.json<FieldJob>(['get', 'fieldjob', name, '-n', namespace]);
const reaches = (name: string, what: string, holds: (job: FieldJob) => boolean, timeoutMs = 400_000) =>
  eventually(`FieldJob ${name} ${what}`, async () => holds(await get(name)), {
    timeoutMs,
    describe: () => kubectl.run(['describe', 'fieldjob,job,pod', '-n', namespace]),
  });
const succeeds = (name: string) => reaches(name, 'succeeds', ({ status }) => status?.phase === 'Succeeded');
const computes = (name: string) =>
  reaches(name, 'computes', ({ status }) => (status?.progress?.done ?? 0) >= 1 && (status?.progress?.running ?? 0) > 0);
const killShards = (name: string) => {
  const selector = `quintet.dev/name=${name},app.kubernetes.io/component=shards`;
  return kubectl.run(['delete', 'pods', '-n', namespace, '-l', selector, '--force', '--grace-period=0']);
};

beforeAll(async () => {
  shared = await sharedCluster();
  kubectl = shared.kubectl;
  await freshNamespace(kubectl, namespace);
  bucket = await startBucket(kubectl, namespace, await engineImage(kubectl));
  const keys = { AWS_ACCESS_KEY_ID: 'test-access', AWS_SECRET_ACCESS_KEY: 'test-secret' };
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'keys', namespace }, stringData: keys };
  await kubectl.apply(JSON.stringify(secret));
});

/** Objects and digest of each quantity. */
const digestsOf = async (name: string, { work }: Way): Promise<string[]> => {
  const digests: string[] = [];
  for (const quantity of work.quantities)
    digests.push(await bucket.digest(`fields/${name}/${quantity.toLowerCase()}/`));
  return digests;
};

describe.each(ways)('a FieldJob of 8 shards and method $method ends with the same bits', (way) => {
  const [calm, stormy] = ['calm', 'stormy'].map((name) => `${name}-${way.method.toLowerCase()}`) as [string, string];

  it('though S3 was away for a minute and its pods were killed before and meanwhile', async () => {
    await kubectl.apply(JSON.stringify(inBucket(calm, way)));
    await succeeds(calm);
    expect((await get(calm)).status?.throughput?.method).toBe(way.chosen);
    const undisturbed = await digestsOf(calm, way);
    for (const digest of undisturbed) expect(Number(digest.split(' ')[0])).toBeGreaterThan(8);

    await kubectl.apply(JSON.stringify(inBucket(stormy, way)));
    await computes(stormy);
    await killShards(stormy);
    await computes(stormy);
    await bucket.away();
    await killShards(stormy);
    await succeeds(stormy);
    expect(await digestsOf(stormy, way)).toEqual(undisturbed);
  });
});

describe('a FieldJob of 8 shards on a volume ends with the same bits', () => {
  it('though its volume was full until somebody made room', async (context) => {
    if (!shared.node) return context.skip('the node of this provider takes no volume of this machine');
    const volume = await smallVolume();
    try {
      await kubectl.apply(
        [volume.objects, [fieldJob('crowded', direct, { persistentVolumeClaim: { claimName: 'small' } })]]
          .flat()
          .map((object) => JSON.stringify(object))
          .join('\n---\n'),
      );
      await computes('crowded');
      volume.fill();
      await reaches('crowded', 'says that its volume is full', ({ status }) =>
        (status?.conditions ?? []).some(({ type, reason }) => type === 'Reconciling' && reason === 'OutputFull'),
      );
      volume.empty();
      await succeeds('crowded');
      expect([digestOf(join(volume.folder, 'crowded', 'pressure'))]).toEqual(await digestsOf('calm-directsum', direct));
    } finally {
      await kubectl.run(['delete', 'fieldjob', 'crowded', '-n', namespace, '--ignore-not-found', '--wait']);
      await volume.remove();
    }
  });
});

/** A file system of 100 MiB in memory: the result takes 65. */
async function smallVolume() {
  const folder = mkdtempSync(join(tmpdir(), 'quintet-small-'));
  await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', 'size=100m,mode=0777', 'tmpfs', folder]);
  const ballast = join(folder, 'ballast');
  const capacity = { storage: '100Mi' };
  const accessModes = ['ReadWriteOnce'];
  const objects = [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: `${namespace}-small` },
      spec: {
        capacity,
        accessModes,
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: '',
        hostPath: { path: folder },
        claimRef: { namespace, name: 'small' },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'small', namespace },
      spec: { accessModes, storageClassName: '', volumeName: `${namespace}-small`, resources: { requests: capacity } },
    },
  ];
  return {
    folder,
    objects,
    fill: () => {
      const block = Buffer.alloc(1 << 20);
      try {
        for (;;) writeFileSync(ballast, block, { flag: 'a' });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    },
    empty: () => rmSync(ballast),
    remove: async () => {
      await kubectl.run(['delete', 'pv', `${namespace}-small`, '--ignore-not-found', '--wait=false']);
      await eventually('the volume is let go', async () => {
        await promisify(execFile)('umount', [folder]);
        return true;
      });
      rmSync(folder, { recursive: true });
    },
  };
}

/** As the bucket tells it. */
function digestOf(folder: string): string {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
  const hash = createHash('sha256');
  for (const path of paths) hash.update(path).update(readFileSync(join(folder, path)));
  return `${paths.length} ${hash.digest('hex')}`;
}
