// A run's files in S3: all of them, or none that anybody would find.
import type * as Sdk from '@aws-sdk/client-s3';
import type { EvolutionRunSpec } from '@quintet/crds';
import { EvolutionError, messageOf } from '../errors.ts';

export type Bucket = NonNullable<NonNullable<EvolutionRunSpec['output']>['s3']>;

/** Milliseconds without an answer. */
const silence = 30_000;

/**
 * Keys come from the environment or the identity of the pod. SHA256SUMS is written last: where it is, everything is.
 * @returns the address of the files
 * @throws EvolutionError OutputUnwritable
 */
export async function upload(
  target: Bucket,
  prefix: string,
  files: ReadonlyMap<string, string | Uint8Array>,
): Promise<string> {
  const { bucket } = target;
  const uri = `s3://${bucket}/${prefix}`;
  const sdk = await import('@aws-sdk/client-s3');
  const client = clientOf(sdk, target);
  const written: string[] = [];
  try {
    for (const [name, content] of lastOf(files, 'SHA256SUMS')) {
      const Key = `${prefix}/${name}`;
      written.push(Key);
      await client.send(new sdk.PutObjectCommand({ Bucket: bucket, Key, Body: content }));
    }
    return uri;
  } catch (cause) {
    await removed(sdk, client, bucket, written);
    throw unwritable(uri, cause);
  } finally {
    client.destroy();
  }
}

/** A key that may write and nothing else is refused this look: then the bucket is there. */
const refusals = new Set([401, 403, 405, 501]);

/**
 * Asks for the bucket before hours are spent on what is to be kept in it.
 * @throws EvolutionError OutputUnwritable where it does not answer, or is not there
 */
export async function checkBucket(target: Bucket): Promise<void> {
  const sdk = await import('@aws-sdk/client-s3');
  const client = clientOf(sdk, target);
  try {
    await client.send(new sdk.HeadBucketCommand({ Bucket: target.bucket }));
  } catch (cause) {
    const { httpStatusCode: status } = (cause as { $metadata?: { httpStatusCode?: number } }).$metadata ?? {};
    if (status !== undefined && refusals.has(status)) return;
    throw unwritable(`s3://${target.bucket}`, status === 404 ? new Error('there is no such bucket') : cause);
  } finally {
    client.destroy();
  }
}

function clientOf(sdk: typeof Sdk, { endpoint, region }: Bucket): Sdk.S3Client {
  return new sdk.S3Client({
    region: region ?? 'us-east-1',
    maxAttempts: 4,
    requestHandler: { connectionTimeout: 5000, requestTimeout: silence, socketTimeout: silence },
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
  });
}

function unwritable(uri: string, cause: unknown): EvolutionError {
  const where = { field: 'spec.output.s3', fix: 'check endpoint, bucket and the keys in its Secret' };
  return new EvolutionError('OutputUnwritable', `${uri} cannot be written: ${messageOf(cause)}`, where, cause);
}

function lastOf<T>(files: ReadonlyMap<string, T>, last: string): [string, T][] {
  return [...files].toSorted(([a], [b]) => Number(a === last) - Number(b === last));
}

/** As far as the store lets: what refused to be written mostly refuses to be removed. */
async function removed(sdk: typeof Sdk, client: Sdk.S3Client, bucket: string, keys: readonly string[]): Promise<void> {
  for (const Key of keys)
    if (
      !(await client.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key })).then(
        () => true,
        () => false,
      ))
    )
      return;
}
