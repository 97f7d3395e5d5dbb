// A thread that takes number after number from a shared list until none is left, list after list.
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { FieldError } from '../errors.ts';
import type { Layers } from '../interpolation/interpolator.ts';
import { usePort } from './bucket.ts';
import { ChunkComputer, type ChunkWork } from './chunk.ts';
import type { ChunkResult } from './store.ts';

/** One list for all threads, in memory that they share. */
export interface TaskList {
  /** Find chunks that are stored, compute chunks, bring them to the disk, or sum layers of the lattice. */
  readonly task: 'find' | 'compute' | 'layer' | 'sync';
  /** Numbers of chunks or layers. */
  readonly numbers: Int32Array;
  /** How many of them are taken. */
  readonly taken: Int32Array;
  /** To be filled by `layer`, to be read by `compute`; none where chunks are summed point by point. */
  readonly layers?: Layers;
}

/** What a thread starts with: a line to the output, where that is a bucket. */
export interface WorkerStart {
  readonly work: ChunkWork;
  readonly port: MessagePort | undefined;
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
const { work, port } = workerData as WorkerStart;
if (port) usePort(port);
let computer: ChunkComputer | undefined;

parentPort?.on('message', ({ task, numbers, taken, layers }: TaskList) => {
  try {
    computer ??= new ChunkComputer(work);
    computer.forget();
    for (let i = Atomics.add(taken, 0, 1); i < numbers.length; i = Atomics.add(taken, 0, 1)) {
      const number = numbers[i]!;
      if (task === 'layer') computer.layer(number, layers!);
      if (task === 'sync') computer.sync(number);
      // What another pod has computed meanwhile need not be computed again.
      const found = task === 'find' || task === 'compute' ? computer.find(number) : undefined;
      const result = found ?? (task === 'compute' ? computer.compute(number, layers) : undefined);
      if (result) say({ type: 'chunk', result });
    }
    say({ type: 'done' });
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    say({ type: 'failed', reason: error.reason, message: error.message, field: error.field });
  }
});
