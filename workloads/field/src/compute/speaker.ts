// The thread that speaks S3: one request after another from each port, tried again while the server is away.
import { setTimeout as sleep } from 'node:timers/promises';
import { type MessagePort, parentPort } from 'node:worker_threads';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { Reason } from '../errors.ts';

export type BucketRequest =
  | { readonly type: 'put'; readonly uri: string; readonly bytes: Uint8Array }
  | { readonly type: 'get'; readonly uri: string }
  | { readonly type: 'list'; readonly uri: string }
  | { readonly type: 'remove'; readonly uri: string };

/** With the request: the word that is set and woken when the reply lies in the port. */
export interface BucketCall {
  readonly request: BucketRequest;
  readonly done: Int32Array;
}

export type BucketReply =
  | { readonly type: 'done' }
  | { readonly type: 'bytes'; readonly bytes: Uint8Array | undefined }
  | { readonly type: 'names'; readonly names: string[] }
  | { readonly type: 'failed'; readonly reason: Reason; readonly message: string };

/** How long one request is tried: an outage of minutes is waited out, and a longer one is told, for the step to be run again. */
const patienceMs = Number(process.env['QUINTET_S3_PATIENCE_SECONDS'] ?? 300) * 1000;
const firstPauseMs = 200;
const longestPauseMs = 5000;

const endpoint = process.env['AWS_ENDPOINT_URL_S3'] || undefined;
const client = new S3Client({
  region: process.env['AWS_REGION'] || 'us-east-1',
  maxAttempts: 1,
  requestHandler: { connectionTimeout: 5000, requestTimeout: 60_000 },
  // Servers other than AWS's know no trailing checksums; chunks bear one of their own.
  requestChecksumCalculation: 'WHEN_REQUIRED',
  responseChecksumValidation: 'WHEN_REQUIRED',
  ...(endpoint && { endpoint, forcePathStyle: true }),
});

parentPort?.on('message', (port: MessagePort) => {
  port.on('message', ({ request, done }: BucketCall) => {
    void tell(port, request, done);
  });
});

async function tell(port: MessagePort, request: BucketRequest, done: Int32Array): Promise<void> {
  const reply = await answer(request);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  port.postMessage(reply);
  Atomics.store(done, 0, 1);
  Atomics.notify(done, 0);
}

async function answer(request: BucketRequest): Promise<BucketReply> {
  const until = performance.now() + patienceMs;
  for (let pause = firstPauseMs; ; pause = Math.min(2 * pause, longestPauseMs)) {
    try {
      return await carryOut(request);
    } catch (error) {
      if (!passes(error) || performance.now() + pause > until) return failure(request, error);
      await sleep(pause);
    }
  }
}

async function carryOut(request: BucketRequest): Promise<BucketReply> {
  const { bucket, key } = placeOf(request.uri);
  const address = { Bucket: bucket, Key: key };
  switch (request.type) {
    case 'put':
      await client.send(new PutObjectCommand({ ...address, Body: request.bytes }));
      return { type: 'done' };
    case 'get':
      try {
        const { Body } = await client.send(new GetObjectCommand(address));
        return { type: 'bytes', bytes: await Body?.transformToByteArray() };
      } catch (error) {
        if ((error as Error).name === 'NoSuchKey') return { type: 'bytes', bytes: undefined };
        throw error;
      }
    case 'list':
      return { type: 'names', names: await namesBelow(bucket, key) };
    case 'remove':
      await client.send(new DeleteObjectCommand(address));
      for await (const each of keysBelow(bucket, `${key}/`))
        await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: each }));
      return { type: 'done' };
  }
}

async function namesBelow(bucket: string, prefix: string): Promise<string[]> {
  const names: string[] = [];
  let token: string | undefined;
  do {
    const page = await client.send(
      new ListObjectsV2Command({
        Bucket: bucket,
        Prefix: prefix,
        Delimiter: '/',
        ...(token && { ContinuationToken: token }),
      }),
    );
    for (const { Key = '' } of page.Contents ?? []) names.push(Key.slice(prefix.length));
    for (const { Prefix = '' } of page.CommonPrefixes ?? []) names.push(Prefix.slice(prefix.length, -1));
    token = page.NextContinuationToken;
  } while (token);
  return names.filter((name) => name !== '');
}

async function* keysBelow(bucket: string, prefix: string): AsyncGenerator<string> {
  for (;;) {
    const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
    const keys = (page.Contents ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [Key]));
    yield* keys;
    // What was listed is gone by now: the next page begins anew.
    if (!page.IsTruncated || keys.length === 0) return;
  }
}

function placeOf(uri: string): { bucket: string; key: string } {
  const [, bucket = '', key = ''] = /^s3:\/\/([^/]+)\/(.*)$/.exec(uri) ?? [];
  return { bucket, key };
}

const statusOf = (error: unknown): number | undefined =>
  (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;

/** What the next attempt may not meet: no connection, a busy or a broken server. */
function passes(error: unknown): boolean {
  if ((error as Error).name === 'CredentialsProviderError') return false;
  const status = statusOf(error);
  return status === undefined || status === 408 || status === 429 || (status >= 500 && status !== 507);
}

function failure({ uri }: BucketRequest, error: unknown): BucketReply {
  const { name, message } = error as Error;
  const full = statusOf(error) === 507 || /quota|storagefull/i.test(name);
  const reason = full ? 'OutputFull' : 'OutputUnwritable';
  return { type: 'failed', reason, message: `${uri}: ${[name, message].filter(Boolean).join(': ').slice(0, 500)}` };
}
