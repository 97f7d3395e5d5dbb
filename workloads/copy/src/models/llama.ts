// A GGUF model in this process by llama.cpp: many answers in one batch, and prompts that begin like an earlier one of the same tenant are not read twice.
import { cpuThreads, memoryLimit, QuintetError } from '@quintet/runtime';
import {
  type ChatHistoryItem,
  type ChatWrapper,
  JinjaTemplateChatWrapper,
  type LlamaContext,
  type LlamaModel,
  LlamaText,
  resolveChatWrapper,
  type SequenceEvaluateOptions,
  type Token,
} from 'node-llama-cpp';
import { versionPaths } from './adapterPaths.ts';
import { fitted, throwIfGone } from './fitting.ts';
import { checkGguf } from './gguf.ts';
import { type LoadOptions, loadModel, openContext } from './llamaLoad.ts';
import { stateMemory } from './memory.ts';
import type { Chances, Ended, Prompt, TextModel, TextRequest } from './model.ts';
import { type Drawn, told } from './sampler.ts';
import { placeOf } from './sequenceOrder.ts';
import { type Slot, sharedPrefix, slotsOf } from './slots.ts';
import { type Batch, type Steps, steps } from './steps.ts';
import { written } from './written.ts';

export interface LlamaOptions extends LoadOptions {
  /** Part of cache keys; see `ModelFile.digest`. */
  revision: string;
  /** Name in answers. */
  id: string;
  /** Tokens of prompt and answer together. */
  contextTokens: number;
  /** Most answers in work at once; fewer where their state would not fit into half of the memory. */
  sequences: number;
  /** Adapters that are to share this memory. */
  adapters?: number;
  /** Jinja; the model's own when left out. */
  chatTemplate?: string | undefined;
  threads?: number;
  onBatch?: (batch: Batch) => void;
}

/** A LoRA adapter: a small GGUF file that changes how the model writes. */
export interface Adapter {
  name: string;
  path: string;
  /** As of a model. */
  revision: string;
  scale: number;
}

export interface LlamaBase extends TextModel {
  /** The model as the adapter changes it, with a state of its own over the same weights; named `id:name`. Throws `MODEL_MISSING`. */
  adapted: (adapter: Adapter) => Promise<TextModel>;
}

/** Tokens that the repetition penalty looks back at, llama.cpp's own default. */
const penaltyWindow = 64;

/** Throws `MODEL_MISSING` with the reason when the file is no model that it can load. */
export async function openLlama(options: LlamaOptions): Promise<LlamaBase> {
  const threads = options.threads ?? cpuThreads();
  await checkGguf(options.path);
  const own = options.chatTemplate === undefined ? undefined : ownFormat(options.chatTemplate);
  const model = await loadModel(options, threads);
  // Where there are adapters, one share more: a changed one is opened before the old one's answers have ended.
  const shares = options.adapters ? options.adapters + 2 : 1;
  const memory = stateMemory(memoryLimit() / 2 - model.size, shares);
  const contextOptions = { ...options, threads, memory };
  const paths = versionPaths();
  let opened: Opened | undefined;
  try {
    opened = await openContext(model, contextOptions);
    const wrapper = own ?? resolveChatWrapper(model);
    const base = new LlamaTextModel(model, opened, wrapper, {
      ...options,
      onClose: async () => {
        await model.dispose();
        await paths.close();
      },
    });
    return Object.assign(base, {
      adapted: async ({ name, path, revision, scale }: Adapter): Promise<TextModel> => {
        await checkGguf(path);
        const link = await paths.of(path, revision);
        const changed = await openContext(model, { ...contextOptions, adapter: { path: link, scale, uri: path } });
        const [id, version] = [`${options.id}:${name}`, `${options.revision}+${revision}*${scale}`];
        return new LlamaTextModel(model, changed, wrapper, { ...options, id, revision: version });
      },
    });
  } catch (error) {
    // Tried again each few seconds, what stays loaded would soon take all memory.
    await opened?.close();
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

type Opened = Awaited<ReturnType<typeof openContext>>;

class LlamaTextModel implements TextModel {
  readonly id: string;
  readonly revision: string;
  readonly parallel: number;
  readonly contextTokens: number;
  readonly #model: LlamaModel;
  readonly #context: LlamaContext;
  readonly #close: () => Promise<void>;
  readonly #wrapper: ChatWrapper;
  readonly #slots;
  readonly #steps: Steps;
  /** Prompts are counted first and read then, several times where several answers are asked for. */
  readonly #tokens = new WeakMap<Prompt, { tokens: Token[]; stops: string[] }>();

  constructor(
    model: LlamaModel,
    { context, close }: Opened,
    wrapper: ChatWrapper,
    options: LlamaOptions & { onClose?: () => Promise<void> },
  ) {
    this.#model = model;
    this.#context = context;
    this.#close = async () => {
      await close();
      await options.onClose?.();
    };
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
    await this.#close();
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

  /** What the slot's sequence holds of the prompt stays. The last token is always read, for its answer. */
  async #adapt({ sequence, foreign }: LlamaSlot, prompt: readonly Token[]): Promise<void> {
    if (foreign) await sequence.clearHistory();
    else await sequence.adaptStateToTokens(prompt.slice(0, -1), false);
  }

  /** Reads the prompt part by part; the last part brings the first token. */
  async #begin(
    slot: LlamaSlot,
    prompt: readonly Token[],
    { used, chances }: TextRequest,
    sampling: SequenceEvaluateOptions,
    signal: AbortSignal,
  ): Promise<{ tokens: AsyncGenerator<Made, void>; first: IteratorResult<Made, void>; reusedTokens: number }> {
    const { sequence, foreign } = slot;
    const evaluationPriority = placeOf(slot.index);
    const metadata = { confidence: chances !== undefined, probabilities: (chances?.top ?? 0) > 0 };
    let at = foreign ? 0 : sharedPrefix(sequence.contextTokens, prompt.slice(0, -1));
    let reusedTokens: number | undefined;
    const place = this.#steps.prompt(prompt.length - at, signal);
    try {
      for (;;) {
        throwIfGone(signal);
        if (used) used.promptTokens = at;
        const begun = await place.part(prompt.length - at, async (count) => {
          // Between batches: before, it would wait for those that begin meanwhile, one after another.
          if (reusedTokens === undefined) await this.#adapt(slot, prompt);
          at = sequence.nextTokenIndex;
          reusedTokens ??= at;
          const part = prompt.slice(at, at + count);
          at += part.length;
          if (at < prompt.length) return sequence.evaluateWithoutGeneratingNewTokens(part, { evaluationPriority });
          const all = { ...sampling, evaluationPriority };
          const tokens: AsyncGenerator<Made, void> = sequence.evaluateWithMetadata(part, metadata, all);
          return { tokens, first: await tokens.next(), reusedTokens };
        });
        if (begun) return begun;
      }
    } finally {
      // Nothing that another tenant left may stay under this one's name.
      if (reusedTokens === undefined) await this.#adapt(slot, prompt);
    }
  }

  async *#answer(
    slot: LlamaSlot,
    prompt: readonly Token[],
    request: TextRequest,
    signal: AbortSignal,
  ): AsyncGenerator<string, Ended, void> {
    const made: Token[] = [];
    const recent = prompt.slice(-penaltyWindow);
    const { chances } = request;
    const text = written<Token>(
      request.stop,
      (tokens, before) => this.#model.detokenize(tokens, false, before),
      chances,
    );
    const sampling = samplingOf(request, recent);
    const { tokens, first, reusedTokens } = await this.#begin(slot, prompt, request, sampling, signal);
    const ended = (finish: Ended['finish']): Ended => ({
      finish,
      promptTokens: prompt.length,
      completionTokens: made.length,
      reusedTokens,
    });
    if (request.used) request.used.promptTokens = prompt.length;
    let finish: Ended['finish'] = 'stop';
    try {
      for (let next = first; !next.done; next = await this.#steps.token(() => tokens.next())) {
        const { token } = next.value;
        made.push(token);
        recent.push(token);
        if (recent.length > penaltyWindow) recent.shift();
        if (request.used) request.used.completionTokens = made.length;
        throwIfGone(signal);
        const chance = chances && told(drawnOf(next.value, chances), (id) => this.#model.detokenize([id as Token]));
        const { text: passed, stopped } = text.push(token, chance);
        if (passed !== '') yield passed;
        if (stopped) return ended('stop');
        if (made.length >= request.maxTokens) {
          finish = 'length';
          break;
        }
      }
    } finally {
      await tokens.return();
    }
    const rest = text.end();
    if (rest !== '') yield rest;
    return ended(finish);
  }
}

/** A token, and where they are asked for its chance and those of all that could have been taken, best first. */
interface Made {
  token: Token;
  confidence?: number;
  probabilities?: ReadonlyMap<Token, number>;
}

function drawnOf({ token, confidence = 1, probabilities }: Made, { top }: Chances): Drawn {
  const best: [Token, number][] = [];
  // Of all that could have been taken, which may be the whole vocabulary.
  for (const each of probabilities ?? []) {
    if (best.length >= top) break;
    best.push(each);
  }
  return {
    token,
    logprob: Math.log(confidence),
    top: best.map(([id, chance]) => ({ token: id, logprob: Math.log(chance) })),
  };
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
