// A thread that takes chunk after chunk from a shared list until none is left, list after list.
import { parentPort, workerData } from 'node:worker_threads';
import { FieldError } from '../errors.ts';
import { ChunkComputer, type ChunkResult, type ChunkWork } from './chunk.ts';

/** One list of chunks for all threads; memory they share. */
export interface ChunkList {
  /** Numbers of the chunks. */
  readonly chunks: Int32Array;
  /** How many of them are taken. */
  readonly taken: Int32Array;
}

export type WorkerMessage =
  | { readonly type: 'chunk'; readonly result: ChunkResult }
  | {
      readonly type: 'failed';
      readonly reason: FieldError['reason'];
      readonly message: string;
      readonly field: string | undefined;
    }
  | { readonly type: 'done' };

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
const say = (message: WorkerMessage): void => parentPort?.postMessage(message);
let computer: ChunkComputer | undefined;

parentPort?.on('message', ({ chunks, taken }: ChunkList) => {
  try {
    computer ??= new ChunkComputer(workerData as ChunkWork);
    for (let i = Atomics.add(taken, 0, 1); i < chunks.length; i = Atomics.add(taken, 0, 1)) {
      say({ type: 'chunk', result: computer.ensure(chunks[i]!) });
    }
    say({ type: 'done' });
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    say({ type: 'failed', reason: error.reason, message: error.message, field: error.field });
  }
});
