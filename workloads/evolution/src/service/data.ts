// A file that the spec names, wherever it is: on a claim, in a ConfigMap or image, or a download into a folder of its own.
import { createWriteStream, existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type EvolutionRunSpec, fileOf, parseBytes, type Reference, referenceAt } from '@quintet/crds';
import { s3Source } from '@quintet/runtime';
import { checkDigest } from '../data/digest.ts';
import { EvolutionError, messageOf } from '../errors.ts';
import { shareableUrl } from '../run/shareable.ts';

/** A place in the spec that names a file. */
export interface FilePlace {
  /** Such as `dataset.source`. */
  readonly path: string;
  readonly source: EvolutionRunSpec['dataset']['source'] & Partial<FrozenSource>;
  /** Bytes; larger files are refused. */
  readonly maxSize: { readonly bytes: number; readonly field?: string };
  readonly sha256: string | undefined;
}

type FrozenSource = NonNullable<EvolutionRunSpec['search']['frozen']>[number]['source'];

export interface DataFile {
  readonly path: string;
  /** Removes what was downloaded. */
  release: () => Promise<void>;
}

/** Milliseconds without a byte. */
const silence = 30_000;

/**
 * @param signal Ends a download
 * @throws EvolutionError DataUnreadable, DataTooLarge, or DataDamaged when the digest is another
 */
export function dataFileOf(spec: EvolutionRunSpec, signal?: AbortSignal): Promise<DataFile> {
  const { source, sha256, maxSize } = spec.dataset;
  const most = { bytes: parseBytes(maxSize), field: 'spec.dataset.maxSize' };
  return fileAt(spec, { path: 'dataset.source', source, sha256, maxSize: most }, signal);
}

/** @throws as `dataFileOf`, naming the place */
export async function fileAt(spec: EvolutionRunSpec, place: FilePlace, signal?: AbortSignal): Promise<DataFile> {
  const { path, source, sha256 } = place;
  const file = source.http || source.s3 ? await downloaded(spec, place, signal) : await mounted(spec, place);
  if (sha256 === undefined) return file;
  try {
    await checkDigest(file.path, sha256, `spec.${path.replace(/source$/, 'sha256')}`);
    return file;
  } catch (error) {
    await file.release();
    throw error;
  }
}

async function mounted(spec: EvolutionRunSpec, { path }: FilePlace): Promise<DataFile> {
  const reference = ['persistentVolumeClaim', 'configMap', 'oci']
    .map((kind) => referenceAt(spec, `${path}.${kind}`))
    .find((each) => each !== undefined);
  if (!reference) throw new EvolutionError('InvalidResource', 'the spec names no source', { field: `spec.${path}` });
  await checkThere(reference);
  return { path: fileOf(reference), release: async () => undefined };
}

const titles = { ConfigMap: 'ConfigMap', Claim: 'PersistentVolumeClaim', Image: 'image', Secret: 'Secret' } as const;

/** @throws EvolutionError DataUnreadable, saying what there is instead */
export async function checkThere(reference: Reference): Promise<void> {
  const path = fileOf(reference);
  if (existsSync(path)) return;
  // Kubernetes keeps what it links to in names that begin with two dots.
  const beside = (await readdir(dirname(path)).catch(() => [])).filter((name) => !name.startsWith('..'));
  const what = reference.type === 'ConfigMap' ? 'key' : 'file';
  const found =
    beside.length > 0
      ? `there ${beside.length === 1 ? 'is' : 'are'} ${beside.slice(0, 20).join(', ')}`
      : 'there is none';
  throw new EvolutionError(
    'DataUnreadable',
    `${titles[reference.type]} ${reference.name} has no ${what} ${reference.file}; ${found}`,
    {
      field: `spec.${reference.path}`,
    },
  );
}

async function downloaded(spec: EvolutionRunSpec, place: FilePlace, signal?: AbortSignal): Promise<DataFile> {
  const { http, s3 } = place.source;
  const folder = await mkdtemp(join(tmpdir(), 'quintet-data-'));
  const path = join(folder, 'data');
  const release = () => rm(folder, { recursive: true, force: true });
  try {
    const body = http ? await overHttp(http.url, spec, place.path, signal) : await fromS3(spec, s3!, place.path);
    await pipeline(limited(body, place.maxSize, signal), createWriteStream(path, { mode: 0o600 }));
    return { path, release };
  } catch (cause) {
    await release();
    signal?.throwIfAborted();
    if (cause instanceof EvolutionError) throw cause;
    throw new EvolutionError(
      'DataUnreadable',
      `${http ? shareableUrl(http.url) : `s3://${s3!.bucket}/${s3!.key}`} cannot be read: ${namedMessage((cause as Error).cause ?? cause)}`,
      { field: `spec.${place.path}.${http ? 'http' : 's3'}` },
      cause,
    );
  }
}

/** A store says by the error's name what is wrong, and often nothing more. */
function namedMessage(error: unknown): string {
  const name = error instanceof Error ? error.name : 'Error';
  return /^(Type)?Error$/.test(name) ? messageOf(error) : `${name}: ${messageOf(error)}`;
}

async function overHttp(
  url: string,
  spec: EvolutionRunSpec,
  at: string,
  signal: AbortSignal | undefined,
): Promise<AsyncIterable<Uint8Array>> {
  const secret = referenceAt(spec, `${at}.http.secretRef`);
  const token = secret ? (await readFile(fileOf(secret, 'token'), 'utf8')).trim() : undefined;
  const answer = await fetch(url, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    signal: AbortSignal.any([AbortSignal.timeout(30 * 60_000), ...(signal ? [signal] : [])]),
  });
  if (!answer.ok || !answer.body) throw new Error(`it answers ${answer.status} ${answer.statusText}`);
  return Readable.fromWeb(answer.body);
}

async function fromS3(
  spec: EvolutionRunSpec,
  { bucket, key, endpoint, region }: { bucket: string; key: string; endpoint?: string; region?: string },
  at: string,
): Promise<AsyncIterable<Uint8Array>> {
  const secret = referenceAt(spec, `${at}.s3.secretRef`);
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

async function* limited(
  body: AsyncIterable<Uint8Array>,
  { bytes: most, field }: FilePlace['maxSize'],
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  let bytes = 0;
  const iterator = body[Symbol.asyncIterator]();
  for (;;) {
    const { value, done } = await soon(iterator.next(), signal);
    if (done) return;
    bytes += value.length;
    if (bytes > most)
      throw new EvolutionError('DataTooLarge', `the file has more than ${most} bytes`, field ? { field } : {});
    yield value;
  }
}

/** What comes before the source has been silent for too long, and before the signal. */
async function soon<T>(coming: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`nothing came for ${silence / 1000} s`)), silence);
  const stop = (): void => reject(signal?.reason as Error);
  signal?.addEventListener('abort', stop);
  try {
    signal?.throwIfAborted();
    return await Promise.race([coming, late]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}
