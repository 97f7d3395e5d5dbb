// Where models come from: a mounted path (claim or OCI volume) or an object in S3.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type * as Sdk from '@aws-sdk/client-s3';
import { QuintetError } from '../errors.ts';

export interface ModelSource {
  /** Names the file in messages, metrics and the cache. */
  readonly uri: string;
  /** Bytes, and what changes when the file does. Throws `MODEL_MISSING`. */
  describe: (signal?: AbortSignal) => Promise<{ size: number; revision: string }>;
  /** The bytes from `start` on. */
  read: (start: number, signal?: AbortSignal) => Promise<Readable>;
  close?: () => void;
}

/** A file of a mounted claim or OCI volume. */
export function fileSource(path: string): ModelSource {
  const uri = `file:${path}`;
  return {
    uri,
    describe: async () => {
      const info = await stat(path).catch((error: unknown) => {
        throw new QuintetError(
          'MODEL_MISSING',
          { uri, reason: (error as NodeJS.ErrnoException).code ?? 'unreadable' },
          { cause: error },
        );
      });
      if (!info.isFile()) throw new QuintetError('MODEL_MISSING', { uri, reason: 'it is not a file' });
      return { size: info.size, revision: `${info.size}-${info.mtimeMs}` };
    },
    read: async (start, signal) => createReadStream(path, { start, ...(signal ? { signal } : {}) }),
  };
}

export interface S3SourceOptions {
  bucket: string;
  key: string;
  /** URL of an S3-compatible server; AWS when left out. Path-style addresses are used with it. */
  endpoint?: string;
  region?: string;
  /** From the environment or the pod's identity when left out. */
  credentials?: { accessKeyId: string; secretAccessKey: string };
  /** Milliseconds without a byte; 30 000 when left out. */
  idleTimeout?: number;
}

/** An object in S3. The client is loaded on first use: an engine without S3 does not pay for it. */
export function s3Source(options: S3SourceOptions): ModelSource {
  const uri = `s3://${options.bucket}/${options.key}`;
  const { idleTimeout = 30_000 } = options;
  const address = { Bucket: options.bucket, Key: options.key };
  let loaded: Promise<{ sdk: typeof Sdk; client: Sdk.S3Client }> | undefined;
  let etag: string | undefined;
  const connect = () =>
    (loaded ??= import('@aws-sdk/client-s3').then((sdk) => ({
      sdk,
      client: new sdk.S3Client({
        region: options.region ?? 'us-east-1',
        maxAttempts: 4,
        requestHandler: { connectionTimeout: 5000, requestTimeout: idleTimeout, socketTimeout: idleTimeout },
        ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint, forcePathStyle: true }),
        ...(options.credentials ? { credentials: options.credentials } : {}),
      }),
    })));
  const missing = (error: unknown): never => {
    throw new QuintetError('MODEL_MISSING', { uri, reason: (error as Error).name || String(error) }, { cause: error });
  };
  return {
    uri,
    describe: async (signal) => {
      const { sdk, client } = await connect();
      const head = await client
        .send(new sdk.HeadObjectCommand(address), signal ? { abortSignal: signal } : {})
        .catch(missing);
      etag = head.ETag;
      return { size: head.ContentLength ?? 0, revision: head.ETag ?? String(head.LastModified?.getTime()) };
    },
    read: async (start, signal) => {
      const { sdk, client } = await connect();
      // If-Match: a file replaced while it is fetched must not become a mixture of both.
      const range = {
        ...(start > 0 ? { Range: `bytes=${start}-` } : {}),
        ...(etag === undefined ? {} : { IfMatch: etag }),
      };
      const got = await client
        .send(new sdk.GetObjectCommand({ ...address, ...range }), signal ? { abortSignal: signal } : {})
        .catch(missing);
      return got.Body as Readable;
    },
    close: () => void loaded?.then(({ client }) => client.destroy()),
  };
}
