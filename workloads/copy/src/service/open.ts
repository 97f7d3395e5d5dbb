// The model that a resource asks for, opened: from its file by llama.cpp or onnxruntime, or behind servers with OpenAI's API.
import { type EngineContext, histogram, QuintetError } from '@quintet/runtime';
import { z } from 'zod';
import { type ModelFile, openModelFile } from '../models/file.ts';
import type { LlamaBase } from '../models/llama.ts';
import type { TextModel } from '../models/model.ts';
import { endpointKey, openAiModel } from '../models/openai.ts';
import type { Batch } from '../models/steps.ts';
import type { CopyConfig } from './config.ts';

/** What a GGUF model is told to those who watch it. */
export interface Followed {
  /** How far it is loaded. */
  onLoading?: (message: string) => void;
  onBatch?: (batch: Batch) => void;
}

export interface OpenOptions extends Followed {
  /** Where claims are mounted. */
  claims?: string;
  /** Threads that the model computes with; the cgroup's quota when left out. */
  threads?: number;
  /** Throws where the model of this name may not be served. */
  check: (id: string) => void;
}

type Context = EngineContext<CopyConfig>;

/** Throws with the reason why it cannot be served: `MODEL_MISSING`, `MODEL_INVALID`, `NOT_READY`, `CONFIG_INVALID`, … */
export async function openModel(context: Context, options: OpenOptions): Promise<TextModel | LlamaBase> {
  const { runtime } = context.config;
  if (runtime === 'OpenAI' || runtime === 'Managed') return openServers(context, options);
  const { model } = context.config;
  if (!model) throw new QuintetError('MODEL_MISSING', { uri: 'model.source', reason: 'the resource names no model' });
  return runtime === 'Onnx' ? openOnnx(context, model, options) : openGguf(context, model, options);
}

type Model = NonNullable<CopyConfig['model']>;

async function openGguf(context: Context, model: Model, options: OpenOptions): Promise<LlamaBase> {
  const { config: own, registry, signal, log } = context;
  const file = await fileOf(context, { ...model, at: 'model.source' }, options);
  const id = nameOf(file.path);
  options.check(id);
  const took = histogram(registry, 'quintet_copy_batch_seconds', 'From token to token of every answer in work.', [
    'model',
  ]);
  // Loaded only where it is used: the library takes a second and many megabytes.
  const { openLlama } = await import('../models/llama.ts');
  return openLlama({
    ...common(own, model, file, options),
    id,
    gpuLayers: model.gpuLayers,
    gpu: own.gpu.policy !== 'None',
    adapters: own.adapters.length,
    signal,
    onProgress: (share) => {
      const message = `loading ${file.path}: ${Math.floor(100 * share)} %`;
      context.readiness.block('model', message);
      options.onLoading?.(message);
    },
    onBatch: (batch) => {
      took.observe({ model: id }, batch.milliseconds / 1000);
      options.onBatch?.(batch);
    },
    onLog: (level, message) => log[level](message),
  });
}

async function openOnnx(context: Context, model: Model, options: OpenOptions): Promise<TextModel> {
  const { config: own } = context;
  if (model.source.s3) {
    const reason = 'a model for runtime Onnx is a folder of files: bring it on a claim';
    throw new QuintetError('CONFIG_INVALID', { field: 'model.source', source: 'the resource', reason });
  }
  const { graphNames, openOnnxText } = await import('../models/onnx.ts');
  const file = await fileOf(context, { ...model, at: 'model.source', inFolder: graphNames }, options);
  const id = nameOf(file.path);
  options.check(id);
  return openOnnxText({
    ...common(own, model, file, options),
    id,
    ...(own.gpu.policy !== 'None' && { providers: ['Cuda', 'WebGpu'] }),
  });
}

function common(own: CopyConfig, model: Model, file: ModelFile, { threads }: OpenOptions) {
  return {
    path: file.path,
    // The label alone would not tell two files apart.
    revision: [model.revision, file.digest].filter((part) => part !== undefined).join(':'),
    contextTokens: model.contextTokens,
    sequences: own.batching.maxSize,
    chatTemplate: model.chatTemplate,
    gpuRequired: own.gpu.policy === 'Required',
    ...(threads !== undefined && { threads }),
  };
}

/** The file of the model, or of an adapter of it; what it waits for is told as the reason why the engine is not ready. */
export function fileOf(
  context: Context,
  file: { source: Model['source']; sha256?: string | undefined; at: string; inFolder?: readonly string[] },
  { claims }: Pick<OpenOptions, 'claims'>,
  onProgress = (message: string) => context.readiness.block('model', message),
): Promise<ModelFile> {
  const { registry, signal } = context;
  const directory = `${process.env['QUINTET_CACHE'] ?? '/var/cache/quintet'}/models`;
  return openModelFile({ ...file, directory, registry, signal, onProgress, ...(claims && { claims }) });
}

/** The file's name, or that of the folder that a graph with a usual name lies in. */
function nameOf(path: string): string {
  const parts = path.split('/').filter((part) => part !== '');
  const file = parts.at(-1) ?? 'model';
  const folder = parts.findLast((part, index) => index < parts.length - 1 && part !== 'onnx');
  if (/\.onnx$/i.test(file)) return folder ?? file.replace(/\.onnx$/i, '');
  return file.replace(/\.gguf$/i, '');
}

async function openServers({ config: own, registry, signal }: Context, { check }: OpenOptions): Promise<TextModel> {
  // The controller names the server that it runs for Managed as the only endpoint.
  if (!own.openai) {
    const reason = `runtime ${own.runtime} needs openai.endpoints`;
    throw new QuintetError('CONFIG_INVALID', { field: 'openai', source: 'the resource', reason });
  }
  const { fallback, fallbackDuringStream } = own.openai;
  const endpoints = own.runtime === 'Managed' ? await managed(own.openai.endpoints, signal) : own.openai.endpoints;
  const withKeys = endpoints.map((endpoint) => ({
    ...endpoint,
    apiKey: endpoint.secretRef && endpointKey(endpoint.name, endpoint.secretRef.key),
  }));
  const model = openAiModel({
    endpoints: withKeys,
    fallback,
    fallbackDuringStream,
    routing: own.routing,
    registry,
  });
  check(model.id);
  return model;
}

type Endpoints = NonNullable<CopyConfig['openai']>['endpoints'];

/** The endpoint with the name of its model; throws `NOT_READY` while its server loads: the pod is as little ready as the server is. */
async function managed(endpoints: Endpoints, signal: AbortSignal): Promise<Endpoints> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(5000)]);
  return Promise.all(
    endpoints.map(async (endpoint) => {
      try {
        const answer = await fetch(`${endpoint.url}/models`, { signal: within });
        if (!answer.ok) throw new Error(`it answered ${answer.status}`);
        const { data } = modelList.parse(await answer.json());
        return { ...endpoint, model: endpoint.model ?? data[0].id };
      } catch (error) {
        const { message, cause } = error as Error;
        const said = cause instanceof Error ? cause.message : message;
        throw new QuintetError(
          'NOT_READY',
          { reason: `the managed server does not serve yet: ${said}` },
          { cause: error },
        );
      }
    }),
  );
}

const modelList = z.looseObject({ data: z.tuple([z.looseObject({ id: z.string().min(1) })], z.unknown()) });
