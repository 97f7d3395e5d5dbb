// The file of a data set, wherever the spec says it is: a claim, a ConfigMap, or a download into a folder of its own.
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type EvolutionRunSpec, fileOf, parseBytes, referenceAt } from '@quintet/crds';
import { s3Source } from '@quintet/runtime';
import { EvolutionError, messageOf } from '../errors.ts';

export interface DataFile {
  readonly path: string;
  /** Removes what was downloaded. */
  release: () => Promise<void>;
}

/** Milliseconds without a byte. */
const silence = 30_000;

/** @throws EvolutionError DataUnreadable, DataTooLarge, or DataDamaged when the digest is another */
export async function dataFileOf(spec: EvolutionRunSpec): Promise<DataFile> {
  const { source, sha256 } = spec.dataset;
  const file = source.http || source.s3 ? await downloaded(spec) : mounted(spec);
  if (sha256 === undefined) return file;
  const actual = await digestOf(file.path);
  if (actual === sha256) return file;
  await file.release();
  throw new EvolutionError('DataDamaged', `the file's SHA-256 is ${actual}, not ${sha256}`, {
    field: 'spec.dataset.sha256',
  });
}

function mounted(spec: EvolutionRunSpec): DataFile {
  const place = spec.dataset.source.persistentVolumeClaim ? 'persistentVolumeClaim' : 'configMap';
  const reference = referenceAt(spec, `dataset.source.${place}`);
  if (!reference)
    throw new EvolutionError('InvalidResource', 'the spec names no source', { field: 'spec.dataset.source' });
  return { path: fileOf(reference), release: async () => undefined };
}

async function downloaded(spec: EvolutionRunSpec): Promise<DataFile> {
  const { http, s3 } = spec.dataset.source;
  const folder = await mkdtemp(join(tmpdir(), 'quintet-data-'));
  const path = join(folder, 'data');
  const release = () => rm(folder, { recursive: true, force: true });
  try {
    const body = http ? await overHttp(http.url, spec) : await fromS3(spec, s3!);
    await pipeline(limited(body, parseBytes(spec.dataset.maxSize)), createWriteStream(path, { mode: 0o600 }));
    return { path, release };
  } catch (cause) {
    await release();
    if (cause instanceof EvolutionError) throw cause;
    throw new EvolutionError(
      'DataUnreadable',
      `${http ? http.url : `s3://${s3!.bucket}/${s3!.key}`} cannot be read: ${namedMessage((cause as Error).cause ?? cause)}`,
      { field: `spec.dataset.source.${http ? 'http' : 's3'}` },
      cause,
    );
  }
}

/** A store says by the error's name what is wrong, and often nothing more. */
function namedMessage(error: unknown): string {
  const name = error instanceof Error ? error.name : 'Error';
  return /^(Type)?Error$/.test(name) ? messageOf(error) : `${name}: ${messageOf(error)}`;
}

async function overHttp(url: string, spec: EvolutionRunSpec): Promise<AsyncIterable<Uint8Array>> {
  const secret = referenceAt(spec, 'dataset.source.http.secretRef');
  const token = secret ? (await readFile(fileOf(secret, 'token'), 'utf8')).trim() : undefined;
  const answer = await fetch(url, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(30 * 60_000),
  });
  if (!answer.ok || !answer.body) throw new Error(`it answers ${answer.status} ${answer.statusText}`);
  return Readable.fromWeb(answer.body);
}

async function fromS3(
  spec: EvolutionRunSpec,
  { bucket, key, endpoint, region }: { bucket: string; key: string; endpoint?: string; region?: string },
): Promise<AsyncIterable<Uint8Array>> {
  const secret = referenceAt(spec, 'dataset.source.s3.secretRef');
  const text = async (name: string) => (secret ? (await readFile(`${secret.mountPath}/${name}`, 'utf8')).trim() : '');
  const credentials = secret && {
    accessKeyId: await text('AWS_ACCESS_KEY_ID'),
    secretAccessKey: await text('AWS_SECRET_ACCESS_KEY'),
  };
  return s3Source({
    bucket,
    key,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(credentials ? { credentials } : {}),
  }).read(0);
}

async function* limited(body: AsyncIterable<Uint8Array>, most: number): AsyncIterable<Uint8Array> {
  let bytes = 0;
  const iterator = body[Symbol.asyncIterator]();
  for (;;) {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>(
      (_, reject) => (timer = setTimeout(() => reject(new Error(`nothing came for ${silence / 1000} s`)), silence)),
    );
    const { value, done } = await Promise.race([iterator.next(), late]).finally(() => clearTimeout(timer));
    if (done) return;
    bytes += value.length;
    if (bytes > most)
      throw new EvolutionError('DataTooLarge', `the file has more than ${most} bytes`, {
        field: 'spec.dataset.maxSize',
      });
    yield value;
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
