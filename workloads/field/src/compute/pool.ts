// All cores on lists of chunks. The threads share the sources and the list; each has its own kernel.
import { Worker } from 'node:worker_threads';
import { FieldError } from '../errors.ts';
import type { ChunkResult, ChunkWork } from './chunk.ts';
import type { ChunkList, WorkerMessage } from './worker.ts';

export interface ListOptions {
  readonly onChunk?: (result: ChunkResult) => void;
  readonly signal?: AbortSignal;
}

export class ChunkPool {
  readonly #workers: Worker[];

  constructor(work: ChunkWork, threads: number) {
    const data: ChunkWork = { ...work, sources: shared(work.sources) };
    this.#workers = Array.from({ length: Math.max(1, threads) }, () => startWorker(data));
  }

  /**
   * Computes or verifies the chunks; their results in the order of `chunks`. One list at a time.
   * @throws FieldError of the first thread that fails; the signal's reason when aborted. The pool is closed then, and
   * finished chunks stay.
   */
  async run(chunks: readonly number[], { onChunk, signal }: ListOptions = {}): Promise<ChunkResult[]> {
    signal?.throwIfAborted();
    const results = new Map<number, ChunkResult>();
    const list: ChunkList = { chunks: sharedNumbers(chunks), taken: new Int32Array(new SharedArrayBuffer(4)) };
    const keep = (result: ChunkResult): void => {
      results.set(result.chunk, result);
      onChunk?.(result);
    };
    const stop = (): void => void this.close();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      await Promise.all(this.#workers.map((worker) => finished(worker, list, keep)));
    } catch (error) {
      await this.close();
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
    return chunks.map((chunk) => results.get(chunk)!);
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

function finished(worker: Worker, list: ChunkList, onChunk: (result: ChunkResult) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void): void => {
      worker.off('message', hear).off('error', fail).off('exit', gone);
      end();
    };
    const hear = (message: WorkerMessage): void => {
      if (message.type === 'chunk') onChunk(message.result);
      else if (message.type === 'done') settle(resolve);
      else settle(() => reject(new FieldError(message.reason, message.message, message.field)));
    };
    const fail = (error: unknown): void => settle(() => reject(error));
    const gone = (): void => settle(() => reject(new Error('a computing thread ended before its work')));
    worker.on('message', hear).once('error', fail).once('exit', gone);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker.postMessage(list);
  });
}

function startWorker(work: ChunkWork): Worker {
  // Sources run as they are: then the thread's file ends as this one does.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`./worker.${extension}`, import.meta.url), {
    workerData: work,
    name: 'field',
    ...(extension === 'ts' && { execArgv: ['--conditions=source'] }),
  });
}

function shared(sources: ChunkWork['sources']): ChunkWork['sources'] {
  const { positions, normals, amplitudes, phases } = sources;
  return {
    ...sources,
    positions: sharedFloats(positions),
    normals: sharedFloats(normals),
    amplitudes: sharedFloats(amplitudes),
    phases: sharedFloats(phases),
  };
}

function sharedFloats(values: Float64Array): Float64Array {
  const copy = new Float64Array(new SharedArrayBuffer(values.byteLength));
  copy.set(values);
  return copy;
}

function sharedNumbers(values: readonly number[]): Int32Array {
  const copy = new Int32Array(new SharedArrayBuffer(4 * Math.max(1, values.length))).subarray(0, values.length);
  copy.set(values);
  return copy;
}
