// Images to vectors by an ONNX model: pixels scaled as the model was trained on them, gathered into batches, run by as
// many copies of the model as the load needs.
import { createHash } from 'node:crypto';
import { type Batcher, batcher, cpuThreads, QuintetError, type Registry } from '@quintet/runtime';
import { type OnnxModel, type OnnxProvider, openOnnx, type Tensor } from '@quintet/runtime/onnx';
import sharp from 'sharp';
import type { Pixels } from '../pdq/pdq.ts';
import { Copies } from './copies.ts';
import { findModel, type Precision } from './file.ts';

export interface EmbedderOptions {
  /** File, or folder with a variant for each precision. */
  readonly path: string;
  readonly precision: Precision;
  readonly sha256?: string | undefined;
  /** Edge of the square input; images are stretched to it, so that nothing of them is cut away. */
  readonly imageSize: number;
  /** Of each channel, for values from 0 to 1. */
  readonly mean: readonly number[];
  readonly standardDeviation: readonly number[];
  /** Name of the output; left out, the first. */
  readonly output?: string | undefined;
  readonly instances: { readonly min: number; readonly max: number };
  readonly batching: { readonly maxSize: number; readonly optimalSize: number; readonly maxWait: number };
  readonly providers?: readonly OnnxProvider[];
  readonly registry?: Registry;
}

export interface Embedder {
  /** Digest of the model and of how images are made ready for it: vectors of two versions say nothing of each other. */
  readonly version: string;
  readonly dimensions: number;
  readonly provider: OnnxProvider;
  /** Why not the provider that was asked for. */
  readonly reason: string;
  readonly copies: number;
  /** Size and wait of batches as adapted. */
  readonly pace: { readonly size: number; readonly wait: number };
  /** Batches of at most this share, above 0 to 1, of what `batching.maxSize` allows. */
  readonly limit: (share: number) => void;
  /** A vector of length one. */
  embed(pixels: Pixels, signal?: AbortSignal): Promise<Float32Array>;
  close(): Promise<void>;
}

/** @throws QuintetError `MODEL_MISSING`, `MODEL_DAMAGED` or `MODEL_INVALID`. */
export async function openEmbedder(options: EmbedderOptions): Promise<Embedder> {
  const { imageSize, mean, standardDeviation, output, instances, batching, providers = [] } = options;
  const { path, sha256 } = await findModel(options.path, options.precision, options.sha256);
  const threads = Math.max(1, Math.floor(cpuThreads() / instances.max));
  const copies = new Copies(() => openOnnx(path, { providers, threads }), instances);
  await copies.start();
  const run = (batch: Float32Array[]) => copies.use(async (model) => await runBatch(model, batch, imageSize, output));
  // A model that does not take such images, or gives something else than vectors, shows before any request does.
  const [probe] = await run([new Float32Array(3 * imageSize * imageSize)]).catch(async (error: unknown) => {
    await copies.close();
    throw error;
  });
  const { provider, reason } = copies.first;
  const prepared = JSON.stringify({ imageSize, mean, standardDeviation, output });
  const queue: Batcher<Float32Array, Float32Array> = batcher({
    name: 'embedding',
    run,
    concurrency: instances.max,
    minSize: 1,
    maxSize: batching.maxSize,
    startSize: Math.min(batching.optimalSize, batching.maxSize),
    maxWait: batching.maxWait,
    ...(options.registry && { registry: options.registry }),
  });
  return {
    version: createHash('sha256').update(`${sha256}\n${prepared}`).digest('hex'),
    dimensions: (probe as Float32Array).length,
    provider,
    reason,
    get copies() {
      return copies.count;
    },
    pace: queue.pace,
    limit: queue.limit,
    embed: async (pixels, signal) => {
      const planes = await planesOf(pixels, imageSize, mean, standardDeviation);
      return await queue.submit(planes, signal ? { signal } : {});
    },
    close: async () => {
      await queue.close();
      await copies.close();
    },
  };
}

/** Three planes of one value to a pixel, the mean taken away and divided by the deviation. */
async function planesOf(
  { data, width, height, channels }: Pixels,
  size: number,
  mean: readonly number[],
  deviation: readonly number[],
): Promise<Float32Array> {
  const resized = await sharp(data, { raw: { width, height, channels } })
    .resize(size, size, { fit: 'fill', kernel: 'cubic' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer();
  const plane = size * size;
  const step = resized.length / plane;
  const out = new Float32Array(3 * plane);
  for (let c = 0; c < 3; c++) {
    const scale = 1 / (255 * (deviation[c] as number));
    const shift = (mean[c] as number) / (deviation[c] as number);
    const from = step >= 3 ? c : 0;
    for (let i = 0; i < plane; i++) out[c * plane + i] = (resized[step * i + from] as number) * scale - shift;
  }
  return out;
}

async function runBatch(
  model: OnnxModel,
  batch: readonly Float32Array[],
  size: number,
  wanted: string | undefined,
): Promise<Float32Array[]> {
  const [input] = model.inputs;
  const name = wanted ?? model.outputs[0]?.name;
  if (!input || name === undefined || !model.outputs.some((each) => each.name === name)) {
    throw new QuintetError('MODEL_INVALID', { reason: `the model has no output ${name ?? 'at all'}` });
  }
  const [fixed] = input.shape;
  const most = typeof fixed === 'number' && fixed > 0 ? fixed : batch.length;
  const vectors: Float32Array[] = [];
  for (let from = 0; from < batch.length; from += most) {
    const part = batch.slice(from, from + most);
    // A fixed size is filled up with what is left from zero.
    const rows = typeof fixed === 'number' && fixed > 0 ? fixed : part.length;
    const plane = size * size;
    const data = new Float32Array(rows * 3 * plane);
    const channelsLast = input.shape[3] === 3 && input.shape[1] !== 3;
    for (const [row, planes] of part.entries()) {
      if (!channelsLast) data.set(planes, row * 3 * plane);
      else
        for (let i = 0; i < 3 * plane; i++)
          data[(row * plane + (i % plane)) * 3 + Math.floor(i / plane)] = planes[i] as number;
    }
    const dims = channelsLast ? [rows, size, size, 3] : [rows, 3, size, size];
    const answer = await model.run({ [input.name]: tensorOf(data, dims, input.type) }, [name]);
    vectors.push(...vectorsOf(answer[name] as Tensor, rows).slice(0, part.length));
  }
  return vectors;
}

/** Rows of length one; of an output for each patch, the first patch's, which stands for the whole image. */
function vectorsOf({ data, dims, type }: Tensor, rows: number): Float32Array[] {
  const values = type === 'float16' ? widened(data as Uint16Array) : (data as Float32Array);
  const stride = values.length / rows;
  const length = dims.length === 3 ? (dims[2] as number) : stride;
  if (dims[0] !== rows || !(values instanceof Float32Array) || length < 2) {
    throw new QuintetError('MODEL_INVALID', {
      reason: `an output of shape ${dims.join('×')} is no vector to each image`,
    });
  }
  return Array.from({ length: rows }, (_, row) => {
    const vector = values.slice(row * stride, row * stride + length);
    const norm = Math.hypot(...vector);
    if (!Number.isFinite(norm))
      throw new QuintetError('MODEL_INVALID', { reason: 'the model gives what is no number' });
    return norm === 0 ? vector : vector.map((value) => value / norm);
  });
}

function tensorOf(data: Float32Array, dims: readonly number[], type: string): Tensor {
  if (type !== 'float16') return { type: 'float32', data, dims };
  return { type: 'float16', data: new Uint16Array(Float16Array.from(data).buffer), dims };
}

function widened(bits: Uint16Array): Float32Array {
  return Float32Array.from(new Float16Array(bits.buffer, bits.byteOffset, bits.length));
}
