// All cores on a list of chunks. The threads share the sources and the list; each has its own kernel.
import { Worker } from 'node:worker_threads';
import { FieldError } from '../errors.ts';
import type { ChunkResult, ChunkWork } from './chunk.ts';
import type { WorkerInput, WorkerMessage } from './worker.ts';

export interface PoolOptions {
  readonly threads: number;
  onChunk?(result: ChunkResult): void;
  readonly signal?: AbortSignal;
}

/**
 * Computes or verifies the chunks; their results in the order of `chunks`.
 * @throws FieldError of the first thread that fails; the signal's reason when aborted. Finished chunks stay.
 */
export async function computeChunks(
  work: ChunkWork,
  chunks: readonly number[],
  { threads, onChunk, signal }: PoolOptions,
): Promise<ChunkResult[]> {
  signal?.throwIfAborted();
  const results = new Map<number, ChunkResult>();
  const input: WorkerInput = {
    work: { ...work, sources: shared(work.sources) },
    chunks: sharedNumbers(chunks),
    taken: new Int32Array(new SharedArrayBuffer(4)),
  };
  const workers = Array.from({ length: Math.max(1, Math.min(threads, chunks.length)) }, () => startWorker(input));
  const stop = (): void => void Promise.all(workers.map((worker) => worker.terminate()));
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await Promise.all(
      workers.map((worker) =>
        finished(worker, (result) => {
          results.set(result.chunk, result);
          onChunk?.(result);
        }),
      ),
    );
    signal?.throwIfAborted();
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return chunks.map((chunk) => results.get(chunk)!);
}

function finished(worker: Worker, onChunk: (result: ChunkResult) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.on('message', (message: WorkerMessage) => {
      if (message.type === 'chunk') onChunk(message.result);
      else if (message.type === 'failed') reject(new FieldError(message.reason, message.message, message.field));
      else resolve();
    });
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('a computing thread ended before its work')));
  });
}

function startWorker(input: WorkerInput): Worker {
  // Sources run as they are: then the thread's file ends as this one does.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`./worker.${extension}`, import.meta.url), {
    workerData: input,
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
