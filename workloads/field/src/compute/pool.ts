// All cores on lists of chunks. The threads share the sources and the list; each has its own kernel.
import { Worker } from 'node:worker_threads';
import { FieldError } from '../errors.ts';
import { isFar, layersOf } from '../interpolation/design.ts';
import { Interpolator, type Layers } from '../interpolation/interpolator.ts';
import { chunkBlock } from '../volume/layout.ts';
import { isBucket, openPort } from './bucket.ts';
import { type ChunkWork, fieldsOf } from './chunk.ts';
import type { ChunkResult } from './store.ts';
import type { TaskList, WorkerMessage, WorkerStart } from './worker.ts';

export interface ListOptions {
  readonly onChunk?: (result: ChunkResult) => void;
  readonly signal?: AbortSignal;
}

/** Layers of the lattice held at a time; chunks that read more are done in several rounds. */
export const mostLayerBytes: number = 96 * 2 ** 20;

export class ChunkPool {
  readonly #work: ChunkWork;
  readonly #workers: Worker[];

  constructor(work: ChunkWork, threads: number) {
    this.#work = { ...work, sources: shared(work.sources) };
    this.#workers = Array.from({ length: Math.max(1, threads) }, () => startWorker(this.#work));
  }

  /**
   * Finds the chunks that are stored and whole, and computes the others; their results in the order of `chunks`. One
   * call at a time.
   * @throws FieldError of the first thread that fails; the signal's reason when aborted. The pool is closed then, and
   * finished chunks stay.
   */
  async run(chunks: readonly number[], { onChunk, signal }: ListOptions = {}): Promise<ChunkResult[]> {
    signal?.throwIfAborted();
    const results = new Map<number, ChunkResult>();
    const keep = (result: ChunkResult): void => {
      results.set(result.chunk, result);
      onChunk?.(result);
    };
    const stop = (): void => void this.close();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      await this.#all('find', chunks, keep);
      signal?.throwIfAborted();
      // Rounds and the layers that they read go by the first and the last of them.
      const missing = chunks.filter((chunk) => !results.has(chunk)).toSorted((a, b) => a - b);
      const { far, near } = this.#divide(missing);
      await this.#all('compute', near, keep);
      signal?.throwIfAborted();
      for (const round of this.#rounds(far)) {
        const layers = this.#newLayers(round);
        const numbers = Array.from({ length: layers.to - layers.from }, (_, i) => layers.from + i);
        await this.#all('layer', numbers, keep, layers);
        signal?.throwIfAborted();
        await this.#all('compute', round, keep, layers);
        signal?.throwIfAborted();
      }
    } catch (error) {
      await this.close();
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
    return chunks.map((chunk) => results.get(chunk)!);
  }

  /** Brings chunks to the disk. @throws FieldError */
  async sync(chunks: readonly number[]): Promise<void> {
    await this.#all('sync', chunks, () => {});
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  async #all(
    task: TaskList['task'],
    numbers: readonly number[],
    keep: (result: ChunkResult) => void,
    layers?: Layers,
  ): Promise<void> {
    if (numbers.length === 0) return;
    const list: TaskList = {
      task,
      numbers: sharedNumbers(numbers),
      taken: new Int32Array(new SharedArrayBuffer(4)),
      ...(layers && { layers: { from: layers.from, data: layers.data } }),
    };
    await Promise.all(this.#workers.map((worker) => finished(worker, list, keep)));
  }

  /** Which chunks are interpolated and which summed: by the volume and the sources alone. */
  #divide(chunks: readonly number[]): { far: number[]; near: number[] } {
    const { lattice, volume, wavelength, sources } = this.#work;
    const far: number[] = [];
    const near: number[] = [];
    for (const chunk of chunks) {
      const remote = lattice && isFar(volume, chunkBlock(volume, chunk), lattice, wavelength, sources.positions);
      (remote ? far : near).push(chunk);
    }
    return { far, near };
  }

  *#rounds(chunks: readonly number[]): Generator<number[]> {
    const layerBytes = this.#layerFloats() * 4;
    let round: number[] = [];
    for (const chunk of chunks) {
      const reach = this.#layersOf([...round.slice(0, 1), chunk]);
      if (round.length > 0 && (reach.to - reach.from) * layerBytes > mostLayerBytes) {
        yield round;
        round = [];
      }
      round.push(chunk);
    }
    if (round.length > 0) yield round;
  }

  #newLayers(chunks: readonly number[]): Layers & { to: number } {
    const { from, to } = this.#layersOf(chunks);
    return { from, to, data: new Float32Array(new SharedArrayBuffer((to - from) * this.#layerFloats() * 4)) };
  }

  /** Lattice layers that the chunks read, from the first one's to the last one's. */
  #layersOf(chunks: readonly number[]): { from: number; to: number } {
    const { lattice, volume } = this.#work;
    const first = chunkBlock(volume, chunks[0]!);
    const last = chunkBlock(volume, chunks.at(-1)!);
    return layersOf(volume, lattice!, first.start[0], last.start[0] + last.shape[0]);
  }

  #layerFloats(): number {
    const { lattice, volume } = this.#work;
    return lattice ? Interpolator.layerFloats(volume, lattice, fieldsOf(this.#work)) : 0;
  }
}

function finished(worker: Worker, list: TaskList, onChunk: (result: ChunkResult) => void): Promise<void> {
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
  const port = isBucket(work.folder) ? openPort() : undefined;
  return new Worker(new URL(`./worker.${extension}`, import.meta.url), {
    workerData: { work, port } satisfies WorkerStart,
    ...(port && { transferList: [port] }),
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
