// A fitted pipeline: preprocessing and learner together, packed as JSON so that a stored model can run nothing of its own.
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { Feature } from '../data/features.ts';
import type { Task } from '../data/problem.ts';
import { EvolutionError } from '../errors.ts';
import { loadLearner } from '../learners/index.ts';
import type { FittedLearner, LearnerState } from '../learners/learner.ts';
import { type Preprocessing, transform } from '../preprocess/steps.ts';

export interface FittedPipeline {
  readonly preprocessing: Preprocessing;
  readonly learner: LearnerState;
}

export interface RunnablePipeline {
  predict: (features: readonly Feature[], rows: Int32Array) => Float64Array;
  close: () => void;
}

export function packPipeline(pipeline: FittedPipeline): Uint8Array {
  return zstdCompressSync(JSON.stringify(pipeline, packed));
}

/** @throws EvolutionError ModelDamaged */
export function unpackPipeline(bytes: Uint8Array): FittedPipeline {
  try {
    return JSON.parse(zstdDecompressSync(bytes, { maxOutputLength: 1 << 30 }).toString(), unpacked) as FittedPipeline;
  } catch (cause) {
    throw new EvolutionError('ModelDamaged', 'a stored pipeline cannot be read', {}, cause);
  }
}

export function runnable(pipeline: FittedPipeline, task: Task, outputs: number): RunnablePipeline {
  let learner: FittedLearner | undefined;
  return {
    predict: (features, rows) => {
      learner ??= loadLearner(pipeline.learner, task, outputs);
      return learner.predict(transform(pipeline.preprocessing, features, rows));
    },
    close: () => {
      learner?.close?.();
      learner = undefined;
    },
  };
}

/** Little-endian single precision in base64. */
export function packed(_: string, value: unknown): unknown {
  if (!(value instanceof Float32Array)) return value;
  return { float32: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') };
}

export function unpacked(_: string, value: unknown): unknown {
  const text = (value as { float32?: unknown } | null)?.float32;
  if (typeof text !== 'string') return value;
  const bytes = Buffer.from(text, 'base64');
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}
