// llama.cpp itself, a GGUF model in it, and contexts of that model, with or without an adapter.
import { QuintetError } from '@quintet/runtime';
import { getLlama, type Llama, type LlamaContext, LlamaLogLevel, type LlamaModel } from 'node-llama-cpp';
import type { StateMemory } from './memory.ts';
import { bySequence } from './sequenceOrder.ts';

export interface LoadOptions {
  path: string;
  /** Layers on the GPU; as many as fit when left out. */
  gpuLayers?: number | undefined;
  /** False: CPU only. */
  gpu: boolean;
  /** Throws `GPU_REQUIRED` where none can be used. */
  gpuRequired?: boolean;
  onProgress?: (share: number) => void;
  onLog?: (level: 'warn' | 'error', message: string) => void;
  signal?: AbortSignal;
}

export interface ContextOptions {
  /** Tokens of prompt and answer together. */
  contextTokens: number;
  /** Most answers in work at once. */
  sequences: number;
  threads: number;
  memory: StateMemory;
  /** `uri` is what errors call it. */
  adapter?: { path: string; scale: number; uri: string };
  signal?: AbortSignal;
}

const libraries = new Map<string, Promise<Llama>>();

/** Loaded once a process: it takes a second, and models come and go in it. */
function library({ gpu, onLog }: LoadOptions, maxThreads: number): Promise<Llama> {
  const key = `${gpu}:${maxThreads}`;
  const loaded = libraries.get(key);
  if (loaded) return loaded;
  const loading = getLlama({
    gpu: gpu ? 'auto' : false,
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    maxThreads,
    logLevel: LlamaLogLevel.warn,
    logger: (level, message) => onLog?.(level === LlamaLogLevel.warn ? 'warn' : 'error', message.trim()),
  });
  libraries.set(key, loading);
  loading.catch(() => libraries.delete(key));
  return loading;
}

/** Throws `MODEL_MISSING` with the reason when the file is no model that it can load. */
export async function loadModel(options: LoadOptions, threads: number): Promise<LlamaModel> {
  const llama = await library(options, threads);
  if (options.gpuRequired && llama.gpu === false)
    throw new QuintetError('GPU_REQUIRED', { reason: 'llama.cpp found none in this pod' });
  try {
    return await llama.loadModel({
      modelPath: options.path,
      ...(options.gpuLayers === undefined ? {} : { gpuLayers: options.gpuLayers }),
      ...(options.onProgress && { onLoadProgress: options.onProgress }),
      ...(options.signal && { loadSignal: options.signal }),
    });
  } catch (error) {
    throw cannotLoad(options.path, error);
  }
}

/** As many sequences as its share of the memory holds; throws `NOT_READY` where none is left, and `MODEL_MISSING` where the adapter is none of this model. */
export async function openContext(
  model: LlamaModel,
  options: ContextOptions,
): Promise<{ context: LlamaContext; close: () => Promise<void> }> {
  const contextSize = Math.min(options.contextTokens, model.trainContextSize);
  const shape = { contextSize, modelGpuLayers: model.gpuLayers, batchSize: Math.min(512, contextSize) };
  const one = await model.fileInsights.estimateContextResourceRequirementsV2({ ...shape, sequences: 1 });
  const two = await model.fileInsights.estimateContextResourceRequirementsV2({ ...shape, sequences: 2 });
  const each = Math.max(1, two.cpuRam - one.cpuRam);
  const { sequences, give } = options.memory.take({ fixed: one.cpuRam - each, each, most: options.sequences });
  const { adapter } = options;
  try {
    const context = await model.createContext({
      sequences,
      contextSize,
      batchSize: shape.batchSize,
      threads: { ideal: options.threads, min: 1 },
      batching: {
        itemPrioritizationStrategy: bySequence,
        // What begins a batch asks for it in one turn of the event loop: another turn would only be waited for.
        dispatchSchedule: (dispatch) => process.nextTick(dispatch),
      },
      ...(adapter && { lora: { adapters: [{ filePath: adapter.path, scale: adapter.scale }] } }),
      ...(options.signal && { createSignal: options.signal }),
    });
    return { context, close: () => context.dispose().finally(give) };
  } catch (error) {
    give();
    if (!adapter || options.signal?.aborted) throw error;
    throw cannotLoad(adapter.uri, error);
  }
}

function cannotLoad(uri: string, error: unknown): QuintetError {
  const reason = `llama.cpp cannot load it: ${(error as Error).message}`;
  return new QuintetError('MODEL_MISSING', { uri, reason }, { cause: error });
}
