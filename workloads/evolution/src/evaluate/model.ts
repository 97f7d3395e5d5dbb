// A fitted pipeline: preprocessing and learner together, packed as JSON so that a stored model can run nothing of its own.
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { Feature } from '../data/features.ts';
import { EvolutionError } from '../errors.ts';
import type { FrozenModel } from '../frozen/model.ts';
import { type FrozenSession, openFrozen, type Target } from '../frozen/session.ts';
import { loadLearner } from '../learners/index.ts';
import type { LearnerState } from '../learners/learner.ts';
import { type Preprocessing, transform } from '../preprocess/steps.ts';
import { restored, type Unit } from './unit.ts';

export interface FittedPipeline {
  readonly preprocessing: Preprocessing;
  readonly learner: LearnerState;
  /** Of a regression's target; absent where the learner predicts it as it is. */
  readonly unit?: Unit;
}

/** A model that came as it is: it sees the features themselves. */
export interface FrozenPipeline {
  readonly frozen: FrozenModel;
}

export interface RunnablePipeline {
  predict: (features: readonly Feature[], rows: Int32Array) => Promise<Float64Array>;
  close: () => void;
}

export function packPipeline(pipeline: FittedPipeline | FrozenPipeline): Uint8Array {
  return zstdCompressSync(JSON.stringify(pipeline, packed));
}

/** @throws EvolutionError ModelDamaged */
export function unpackPipeline(bytes: Uint8Array): FittedPipeline | FrozenPipeline {
  try {
    const text = zstdDecompressSync(bytes, { maxOutputLength: 1 << 30 }).toString();
    return withUnit(JSON.parse(text, unpacked) as FittedPipeline | FrozenPipeline);
  } catch (cause) {
    throw new EvolutionError('ModelDamaged', 'a stored pipeline cannot be read', {}, cause);
  }
}

/** Networks of earlier versions kept the unit themselves. */
function withUnit(pipeline: FittedPipeline | FrozenPipeline): FittedPipeline | FrozenPipeline {
  if ('frozen' in pipeline || pipeline.learner.kind !== 'Network') return pipeline;
  const { shift, factor } = pipeline.learner as { shift?: number; factor?: number };
  return shift === undefined || !factor ? pipeline : { ...pipeline, unit: { mean: shift, deviation: 1 / factor } };
}

/**
 * Unpacked as it is first asked, and again after it was closed: the text of trees is several times what they become, and is not kept beside them.
 * @param stored In base64
 */
export function runnable(stored: string, target: Target): RunnablePipeline {
  let open: RunnablePipeline | undefined;
  return {
    predict: async (features, rows) => {
      open ??= opened(unpackPipeline(Buffer.from(stored, 'base64')), target);
      return open.predict(features, rows);
    },
    close: () => {
      open?.close();
      open = undefined;
    },
  };
}

function opened(pipeline: FittedPipeline | FrozenPipeline, target: Target): RunnablePipeline {
  if ('frozen' in pipeline) return runnableFrozen(pipeline, target);
  const { preprocessing, unit } = pipeline;
  const learner = loadLearner(pipeline.learner, target.task, target.outputs);
  return {
    predict: async (features, rows) => restored(learner.predict(transform(preprocessing, features, rows)), unit),
    close: () => learner.close?.(),
  };
}

function runnableFrozen({ frozen }: FrozenPipeline, target: Target): RunnablePipeline {
  let session: Promise<FrozenSession> | undefined;
  return {
    predict: async (features, rows) => {
      session ??= openFrozen(frozen, features, target);
      return (await session).predict(features, rows);
    },
    close: () => {
      void session?.then((open) => open.close()).catch(() => undefined);
      session = undefined;
    },
  };
}

/** Bytes, and little-endian single precision, in base64. */
export function packed(_: string, value: unknown): unknown {
  if (value instanceof Float32Array)
    return { float32: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') };
  return value instanceof Uint8Array ? { bytes: Buffer.from(value).toString('base64') } : value;
}

export function unpacked(_: string, value: unknown): unknown {
  const { float32, bytes } = (value ?? {}) as { float32?: unknown; bytes?: unknown };
  if (typeof bytes === 'string') return new Uint8Array(Buffer.from(bytes, 'base64'));
  if (typeof float32 !== 'string') return value;
  const plain = Buffer.from(float32, 'base64');
  return new Float32Array(plain.buffer.slice(plain.byteOffset, plain.byteOffset + plain.byteLength));
}
