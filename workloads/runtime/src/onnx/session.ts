// An ONNX model in this process, by the optional package onnxruntime-node: what it takes and gives, read from the file,
// and its runs one behind another on threads of its own.
import { availableParallelism } from 'node:os';
import type * as Ort from 'onnxruntime-node';
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { QuintetError } from '../errors.ts';
import { cpuQuota } from '../work/cgroup.ts';

export type OnnxProvider = 'Cpu' | 'WebGpu' | 'Cuda';

export interface OnnxOptions {
  /** Tried in this order; the CPU comes last of itself. CPU alone when left out. */
  providers?: readonly OnnxProvider[];
  /** Threads of one run; the cgroup's quota when left out. */
  threads?: number;
}

export type TensorType = 'float32' | 'float16' | 'int64' | 'int32' | 'uint8' | 'bool';

export interface Tensor {
  readonly type: TensorType;
  /** Row-major; float16 as its 16 bits. */
  readonly data: Float32Array | Uint16Array | BigInt64Array | Int32Array | Uint8Array;
  readonly dims: readonly number[];
}

/** What a model declares of one input or output. */
export interface TensorInfo {
  readonly name: string;
  readonly type: string;
  /** A number where the size is fixed, a name where it is free. */
  readonly shape: readonly (number | string)[];
}

export interface OnnxModel {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** What it runs on, and why not on what was asked for before. */
  readonly provider: OnnxProvider;
  readonly reason: string;
  /**
   * @param feeds a tensor for each input.
   * @param wanted names of the outputs; all when left out.
   * @throws MODEL_INVALID when the model does not take them, with what the runtime says.
   */
  run(feeds: Readonly<Record<string, Tensor>>, wanted?: readonly string[]): Promise<Record<string, Tensor>>;
  close(): Promise<void>;
}

const names: Record<OnnxProvider, string> = { Cpu: 'cpu', WebGpu: 'webgpu', Cuda: 'cuda' };

/** @throws MODEL_INVALID when the file is none or no provider takes it. */
export async function openOnnx(path: string, { providers = [], threads }: OnnxOptions = {}): Promise<OnnxModel> {
  const { InferenceSession: sessions, Tensor: tensors } = await load();
  const refused: string[] = [];
  for (const provider of new Set([...providers, 'Cpu'] as const)) {
    try {
      const session = await sessions.create(path, {
        executionProviders: [names[provider]],
        intraOpNumThreads: threads ?? Math.min(cpuQuota(), availableParallelism()),
        interOpNumThreads: 1,
        graphOptimizationLevel: 'all',
        // Threads that wait by spinning would take the cores from the service itself.
        extra: { session: { intra_op: { allow_spinning: '0' } } },
        logSeverityLevel: 3,
      });
      return modelOf(session, tensors, provider, refused.join('; '));
    } catch (error) {
      refused.push(`${provider}: ${firstLine(error)}`);
    }
  }
  throw new QuintetError('MODEL_INVALID', { reason: refused.join('; ') });
}

function modelOf(
  session: InferenceSession,
  tensors: typeof OrtTensor,
  provider: OnnxProvider,
  reason: string,
): OnnxModel {
  const infos = (all: readonly InferenceSession.ValueMetadata[]): TensorInfo[] =>
    all.flatMap((each) =>
      each.isTensor ? [{ name: each.name, type: each.type, shape: [...each.shape] as (number | string)[] }] : [],
    );
  return {
    inputs: infos(session.inputMetadata),
    outputs: infos(session.outputMetadata),
    provider,
    reason,
    async run(feeds, wanted) {
      const given: Record<string, OrtTensor> = {};
      for (const [name, { type, data, dims }] of Object.entries(feeds))
        given[name] = new tensors(type as 'float32', data as Float32Array, [...dims]);
      try {
        const answer = wanted ? await session.run(given, [...wanted]) : await session.run(given);
        return Object.fromEntries(
          Object.entries(answer).map(([name, value]) => {
            const { type, data, dims } = value;
            return [name, { type: type as TensorType, data: data as Tensor['data'], dims }];
          }),
        );
      } catch (error) {
        throw new QuintetError('MODEL_INVALID', { reason: firstLine(error) });
      }
    },
    close: () => session.release(),
  };
}

async function load(): Promise<typeof Ort> {
  try {
    return await import('onnxruntime-node');
  } catch (error) {
    throw new QuintetError('MODEL_INVALID', { reason: `onnxruntime-node cannot be loaded: ${firstLine(error)}` });
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] as string;
}
