// An output in S3, as the steps use a folder: they write and read in turn, so a thread of its own speaks to the server while
// they wait. Objects are whole or not there by themselves, and an answer to a PUT means that it is kept.
import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  type TransferListItem,
  Worker,
} from 'node:worker_threads';
import { FieldError } from '../errors.ts';
import type { BucketCall, BucketReply, BucketRequest } from './speaker.ts';

/** `s3://bucket/prefix`; connection and keys are those of the environment, as of any AWS tool. */
export const isBucket = (folder: string): boolean => folder.startsWith('s3://');

/** Longer than the thread tries by itself. */
const patienceMs = 600_000;

export function putObject(folder: string, path: string, content: Uint8Array | string): void {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  call({ type: 'put', uri: uriOf(folder, path), bytes });
}

/** Undefined when there is none. */
export function getObject(folder: string, path: string): Uint8Array | undefined {
  const reply = call({ type: 'get', uri: uriOf(folder, path) });
  return reply.type === 'bytes' ? reply.bytes : undefined;
}

/** Names right below the prefix, as of a folder. */
export function listNames(folder: string): string[] {
  const reply = call({ type: 'list', uri: uriOf(folder, '') });
  return reply.type === 'names' ? reply.names : [];
}

/** The object, and all below it. */
export function removeObjects(folder: string, path: string): void {
  call({ type: 'remove', uri: uriOf(folder, path) });
}

let speaker: Worker | undefined;
let port: MessagePort | undefined;

/** A line to the thread that speaks S3, to be handed to another thread and given to `usePort` there. */
export function openPort(): MessagePort & TransferListItem {
  if (!speaker) {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const execArgv = extension === 'ts' ? { execArgv: ['--conditions=source'] } : {};
    speaker = new Worker(new URL(`./speaker.${extension}`, import.meta.url), { name: 'field-s3', ...execArgv });
    speaker.unref();
  }
  const { port1, port2 } = new MessageChannel();
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  speaker.postMessage(port2, [port2]);
  return port1;
}

export function usePort(given: MessagePort): void {
  port = given;
  port.unref();
}

function call(request: BucketRequest): BucketReply {
  if (!port) usePort(openPort());
  const done = new Int32Array(new SharedArrayBuffer(4));
  const message: BucketCall = { request, done };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  port?.postMessage(message);
  if (Atomics.wait(done, 0, 0, patienceMs) === 'timed-out') {
    throw new FieldError('OutputUnwritable', `${request.uri}: no answer in ${patienceMs / 1000} s`, 'spec.output.s3');
  }
  const received = port && receiveMessageOnPort(port);
  const reply = received?.message as BucketReply | undefined;
  if (!reply) throw new Error('the thread that speaks S3 has not answered');
  if (reply.type === 'failed') throw new FieldError(reply.reason, reply.message, 'spec.output.s3');
  return reply;
}

function uriOf(folder: string, path: string): string {
  return `${folder.replace(/\/+$/, '')}/${path}`;
}
