// A GGUF model in this process by llama.cpp: many answers in one batch, and prompts that begin like an earlier one of the same tenant are not read twice.
import { cpuThreads, memoryLimit, QuintetError } from '@quintet/runtime';
import {
  type ChatHistoryItem,
  type ChatWrapper,
  getLlama,
  JinjaTemplateChatWrapper,
  type Llama,
  type LlamaContext,
  LlamaLogLevel,
  type LlamaModel,
  LlamaText,
  resolveChatWrapper,
  type SequenceEvaluateOptions,
  type Token,
} from 'node-llama-cpp';
import { checkGguf } from './gguf.ts';
import type { Ended, Prompt, TextModel, TextRequest } from './model.ts';
import { type Slot, slotsOf } from './slots.ts';
import { type Batch, type Steps, steps } from './steps.ts';
import { stopScanner } from './stops.ts';

export interface LlamaOptions {
  path: string;
  /** Part of cache keys; see `ModelFile.digest`. */
  revision: string;
  /** Name in answers. */
  id: string;
  /** Tokens of prompt and answer together. */
  contextTokens: number;
  /** Most answers in work at once; fewer where their state would not fit into half of the memory. */
  sequences: number;
  /** Jinja; the model's own when left out. */
  chatTemplate?: string | undefined;
  /** Layers on the GPU; as many as fit when left out. */
  gpuLayers?: number | undefined;
  /** False: CPU only. */
  gpu: boolean;
  /** Throws `GPU_REQUIRED` where none can be used. */
  gpuRequired?: boolean;
  threads?: number;
  onProgress?: (share: number) => void;
  onBatch?: (batch: Batch) => void;
  onLog?: (level: 'warn' | 'error', message: string) => void;
  signal?: AbortSignal;
}

/** Tokens that the repetition penalty looks back at, llama.cpp's own default. */
const penaltyWindow = 64;
/** A character has at most four bytes, and so at most four tokens. */
const longestCharacter = 4;

/** Throws `MODEL_MISSING` with the reason when the file is no model that it can load. */
export async function openLlama(options: LlamaOptions): Promise<TextModel> {
  const threads = options.threads ?? cpuThreads();
  await checkGguf(options.path);
  const own = options.chatTemplate === undefined ? undefined : ownFormat(options.chatTemplate);
  const llama = await library(options, threads);
  if (options.gpuRequired && llama.gpu === false)
    throw new QuintetError('GPU_REQUIRED', { reason: 'llama.cpp found none in this pod' });
  const model = await load(llama, options);
  let context: LlamaContext | undefined;
  try {
    context = await contextFor(model, threads, options);
    return new LlamaTextModel(model, context, own ?? resolveChatWrapper(model), options);
  } catch (error) {
    // Tried again each few seconds, what stays loaded would soon take all memory.
    await context?.dispose();
    await model.dispose();
    throw error;
  }
}

function ownFormat(template: string): ChatWrapper {
  try {
    return new JinjaTemplateChatWrapper({ template });
  } catch (error) {
    const reason = `the chat template is no template of a conversation: ${(error as Error).message}`;
    throw new QuintetError(
      'CONFIG_INVALID',
      { field: 'model.chatTemplate', source: 'the resource', reason },
      { cause: error },
    );
  }
}

const libraries = new Map<string, Promise<Llama>>();

/** llama.cpp itself, loaded once a process: it takes a second, and models come and go in it. */
function library({ gpu, onLog }: LlamaOptions, maxThreads: number): Promise<Llama> {
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

async function load(llama: Llama, options: LlamaOptions): Promise<LlamaModel> {
  try {
    return await llama.loadModel({
      modelPath: options.path,
      ...(options.gpuLayers === undefined ? {} : { gpuLayers: options.gpuLayers }),
      ...(options.onProgress && { onLoadProgress: options.onProgress }),
      ...(options.signal && { loadSignal: options.signal }),
    });
  } catch (error) {
    throw new QuintetError(
      'MODEL_MISSING',
      { uri: options.path, reason: `llama.cpp cannot load it: ${(error as Error).message}` },
      { cause: error },
    );
  }
}

async function contextFor(model: LlamaModel, threads: number, options: LlamaOptions): Promise<LlamaContext> {
  const contextSize = Math.min(options.contextTokens, model.trainContextSize);
  const shape = { contextSize, modelGpuLayers: model.gpuLayers, batchSize: Math.min(512, contextSize) };
  const one = await model.fileInsights.estimateContextResourceRequirementsV2({ ...shape, sequences: 1 });
  const two = await model.fileInsights.estimateContextResourceRequirementsV2({ ...shape, sequences: 2 });
  const each = Math.max(1, two.cpuRam - one.cpuRam);
  const room = Math.max(0, memoryLimit() / 2 - model.size - (one.cpuRam - each));
  const sequences = Math.max(1, Math.min(options.sequences, Math.floor(room / each)));
  return model.createContext({
    sequences,
    contextSize,
    batchSize: shape.batchSize,
    threads: { ideal: threads, min: 1 },
    ...(options.signal && { createSignal: options.signal }),
  });
}

class LlamaTextModel implements TextModel {
  readonly id: string;
  readonly revision: string;
  readonly parallel: number;
  readonly contextTokens: number;
  readonly #model: LlamaModel;
  readonly #context: LlamaContext;
  readonly #wrapper: ChatWrapper;
  readonly #slots;
  readonly #steps: Steps;
  /** Prompts are counted first and read then, several times where several answers are asked for. */
  readonly #tokens = new WeakMap<Prompt, { tokens: Token[]; stops: string[] }>();

  constructor(model: LlamaModel, context: LlamaContext, wrapper: ChatWrapper, options: LlamaOptions) {
    this.#model = model;
    this.#context = context;
    this.#wrapper = wrapper;
    this.id = options.id;
    this.revision = `${options.revision}:${context.contextSize}:${wrapper.wrapperName}:${options.chatTemplate ?? ''}`;
    this.parallel = context.totalSequences;
    this.contextTokens = context.contextSize;
    const sequences = Array.from({ length: this.parallel }, () => context.getSequence());
    this.#steps = steps({ batchSize: context.batchSize, onBatch: options.onBatch });
    this.#slots = slotsOf(sequences, ({ contextTokens }) => contextTokens);
  }

  countTokens(prompt: Prompt): number {
    return this.#read(prompt).tokens.length;
  }

  async *generate(request: TextRequest, signal: AbortSignal): AsyncGenerator<string, Ended, void> {
    const { tokens, stops } = this.#read(request.prompt);
    const prompt = fitted(tokens, request, this.#context.contextSize);
    const slot = this.#slots.take(request.tenant, prompt);
    try {
      return yield* this.#answer(slot, prompt, { ...request, stop: [...request.stop, ...stops] }, signal);
    } finally {
      this.#slots.give(slot);
    }
  }

  async close(): Promise<void> {
    await this.#context.dispose();
    await this.#model.dispose();
  }

  /** Tokens of the prompt, and the texts at which the chat format ends an answer. */
  #read(prompt: Prompt): { tokens: Token[]; stops: string[] } {
    const known = this.#tokens.get(prompt);
    if (known) return known;
    const read = this.#tokenize(prompt);
    this.#tokens.set(prompt, read);
    return read;
  }

  #tokenize(prompt: Prompt): { tokens: Token[]; stops: string[] } {
    if ('text' in prompt) {
      const tokens = this.#model.tokenize(prompt.text);
      const { bos, shouldPrependBosToken } = this.#model.tokens;
      const opened = shouldPrependBosToken && bos !== null ? [bos, ...tokens] : tokens;
      // An empty prompt: the model begins from its end-of-text token, as it learned texts to begin.
      const start = bos ?? this.#model.tokens.eos;
      return { tokens: opened.length > 0 || start === null ? opened : [start], stops: [] };
    }
    const history = prompt.messages.map(({ role, content }): ChatHistoryItem => {
      if (role === 'assistant') return { type: 'model', response: [content] };
      return role === 'system' ? { type: 'system', text: content } : { type: 'user', text: content };
    });
    if (history.at(-1)?.type !== 'model') history.push({ type: 'model', response: [''] });
    const state = this.#wrapper.generateContextState({ chatHistory: history });
    const stops = state.stopGenerationTriggers
      .map((trigger) =>
        LlamaText(trigger)
          .values.filter((value) => typeof value === 'string')
          .join(''),
      )
      .filter((text) => text !== '');
    return { tokens: state.contextText.tokenize(this.#model.tokenizer), stops };
  }

  /** What the slot's sequence holds of the prompt stays; returns how many tokens that is. The last is always read, for its answer. */
  async #adapt({ sequence, foreign }: LlamaSlot, prompt: readonly Token[]): Promise<number> {
    if (foreign) await sequence.clearHistory();
    else await sequence.adaptStateToTokens(prompt.slice(0, -1), false);
    return sequence.nextTokenIndex;
  }

  /** Reads the prompt part by part; the last part brings the first token. */
  async #begin(
    { sequence }: LlamaSlot,
    prompt: readonly Token[],
    { used }: TextRequest,
    sampling: SequenceEvaluateOptions,
    signal: AbortSignal,
  ): Promise<{ tokens: AsyncGenerator<Token, void>; first: IteratorResult<Token, void> }> {
    const place = this.#steps.prompt(prompt.length - sequence.nextTokenIndex, signal);
    for (;;) {
      throwIfGone(signal);
      const at = sequence.nextTokenIndex;
      if (used) used.promptTokens = at;
      const begun = await place.part(prompt.length - at, async (count) => {
        const part = prompt.slice(at, at + count);
        if (at + count < prompt.length) return sequence.evaluateWithoutGeneratingNewTokens(part);
        const tokens = sequence.evaluate(part, sampling);
        return { tokens, first: await tokens.next() };
      });
      if (begun) return begun;
    }
  }

  async *#answer(
    slot: LlamaSlot,
    prompt: readonly Token[],
    request: TextRequest,
    signal: AbortSignal,
  ): AsyncGenerator<string, Ended, void> {
    const scanner = stopScanner(request.stop);
    const made: Token[] = [];
    const recent = prompt.slice(-penaltyWindow);
    let pending: Token[] = [];
    const reusedTokens = await this.#adapt(slot, prompt);
    const ended = (finish: Ended['finish']): Ended => ({
      finish,
      promptTokens: prompt.length,
      completionTokens: made.length,
      reusedTokens,
    });
    const sampling = samplingOf(request, recent);
    const { tokens, first } = await this.#begin(slot, prompt, request, sampling, signal);
    if (request.used) request.used.promptTokens = prompt.length;
    try {
      for (let next = first; !next.done; next = await this.#steps.token(() => tokens.next())) {
        made.push(next.value);
        recent.push(next.value);
        if (recent.length > penaltyWindow) recent.shift();
        if (request.used) request.used.completionTokens = made.length;
        throwIfGone(signal);
        pending.push(next.value);
        const text = this.#model.detokenize(pending, false, made.slice(-16, -pending.length));
        if (!text.endsWith('\uFFFD') || pending.length >= longestCharacter) {
          pending = [];
          const { text: passed, stopped } = scanner.push(text);
          if (passed !== '') yield passed;
          if (stopped) return ended('stop');
        }
        if (made.length >= request.maxTokens) {
          const rest = scanner.end();
          if (rest !== '') yield rest;
          return ended('length');
        }
      }
    } finally {
      await tokens.return();
    }
    const rest = scanner.end();
    if (rest !== '') yield rest;
    return ended('stop');
  }
}

type LlamaSlot = Slot<ReturnType<LlamaContext['getSequence']>>;

/** @param recent The latest tokens, kept up to date by the caller. */
function samplingOf(request: TextRequest, recent: Token[]): SequenceEvaluateOptions {
  const { temperature, topK, topP, seed, repetitionPenalty: penalty } = request;
  return {
    temperature,
    topK,
    topP,
    ...(seed === undefined ? {} : { seed }),
    ...(penalty === 1 ? {} : { repeatPenalty: { punishTokens: () => recent, penalty } }),
  };
}

/** The prompt as it will be read. Throws `INVALID_REQUEST` when it leaves no room and may not be cut. */
function fitted(tokens: readonly Token[], request: TextRequest, contextSize: number): readonly Token[] {
  const room = contextSize - request.maxTokens;
  if (room < 1) {
    const reason = `max_tokens is ${request.maxTokens}; prompt and answer together have at most ${contextSize} tokens`;
    throw new QuintetError('INVALID_REQUEST', { field: 'max_tokens', reason });
  }
  if (tokens.length <= room) return tokens;
  if (request.overflow === 'Truncate') return tokens.slice(-room);
  throw new QuintetError('INVALID_REQUEST', {
    field: 'messages' in request.prompt ? 'messages' : 'prompt',
    reason: `the prompt has ${tokens.length} tokens and max_tokens is ${request.maxTokens}; together at most ${contextSize}`,
  });
}

function throwIfGone(signal: AbortSignal): void {
  if (signal.aborted) throw signal.reason instanceof Error ? signal.reason : new QuintetError('CANCELLED');
}
