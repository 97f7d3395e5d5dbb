// An ONNX language model in this process: files as transformers.js reads them, run by onnxruntime, from the volume alone.
import { statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { memoryLimit, QuintetError } from '@quintet/runtime';
import { type OnnxModel, type OnnxProvider, openOnnx } from '@quintet/runtime/onnx';
import { fitted, throwIfGone } from './fitting.ts';
import type { Ended, Prompt, TextModel, TextRequest } from './model.ts';
import { oneByOne } from './oneByOne.ts';
import { type LanguageGraph, languageGraph } from './onnxGraph.ts';
import { draw, randomOf, told } from './sampler.ts';
import { type TextTokens, textTokens } from './tokenizer.ts';
import { written } from './written.ts';

export interface OnnxTextOptions {
  /** The graph; its tokenizer.json lies beside it or in the folder above. */
  path: string;
  /** Part of cache keys; see `ModelFile.digest`. */
  revision: string;
  /** Name in answers. */
  id: string;
  /** Tokens of prompt and answer together; fewer where the model has fewer. */
  contextTokens: number;
  /** Most answers in work at once; fewer where their state would not fit into half of the memory. */
  sequences: number;
  /** Jinja; the model's own when left out. */
  chatTemplate?: string | undefined;
  /** Tried in this order; the CPU comes last. */
  providers?: readonly OnnxProvider[];
  /** Throws `GPU_REQUIRED` where none can be used. */
  gpuRequired?: boolean;
  threads?: number;
}

/** Where a folder is named, the graphs that are looked for in it, as transformers.js names them. */
export const graphNames = ['model', 'decoder_model_merged', 'model_quantized', 'model_fp16', 'model_q4'].flatMap(
  (name) => [`${name}.onnx`, `onnx/${name}.onnx`],
);

/** As llama.cpp's default. */
const penaltyWindow = 64;
/** Tokens of a prompt that are read at once: between parts others get their turn, and who has gone away is noticed. */
const promptPart = 128;

/** Throws `MODEL_MISSING` or `MODEL_INVALID` with the reason when it is no language model that can be run. */
export async function openOnnxText(options: OnnxTextOptions): Promise<TextModel> {
  const tokens = textTokens(options.path, options.chatTemplate);
  const { providers, threads } = options;
  const model = await openOnnx(options.path, {
    ...(providers && { providers }),
    ...(threads !== undefined && { threads }),
  });
  try {
    if (options.gpuRequired && model.provider === 'Cpu')
      throw new QuintetError('GPU_REQUIRED', { reason: model.reason || 'onnxruntime found none in this pod' });
    const graph = languageGraph(model, tokens.state);
    // Garbage that parses shows itself at the first run, not at the first request.
    await graph.run([[...tokens.ends][0] ?? 0], graph.empty);
    return onnxText(model, graph, tokens, {
      ...options,
      revision: `${options.revision}${await weightsBeside(options.path)}`,
    });
  } catch (error) {
    await model.close();
    throw error;
  }
}

/** Size and time of change of the files that hold the graph's weights where it does not hold them itself. */
async function weightsBeside(path: string): Promise<string> {
  const folder = dirname(path);
  const names = (await readdir(folder)).filter(
    (name) => name !== basename(path) && (name.startsWith(basename(path)) || /[._](data|bin|weights?)$/i.test(name)),
  );
  return names
    .toSorted()
    .map((name) => statSync(join(folder, name)))
    .map(({ size, mtimeMs }) => `+${size}-${mtimeMs}`)
    .join('');
}

function onnxText(model: OnnxModel, graph: LanguageGraph, tokens: TextTokens, options: OnnxTextOptions): TextModel {
  const contextTokens = Math.min(options.contextTokens, tokens.contextTokens ?? Number.POSITIVE_INFINITY);
  // While a run makes the next state, the last one is there still.
  const each = Math.max(1, 2 * contextTokens * graph.bytesPerToken);
  const parallel = Math.max(1, Math.min(options.sequences, Math.floor(memoryLimit() / 2 / each)));
  const known = new WeakMap<Prompt, { tokens: number[]; stops: string[] }>();
  const read = (prompt: Prompt) => {
    const found = known.get(prompt) ?? tokens.encode(prompt);
    known.set(prompt, found);
    return found;
  };
  const inTurn = oneByOne();

  /** Reads the prompt part by part; gives what the last part brings. */
  async function begin(prompt: readonly number[], { used }: TextRequest, signal: AbortSignal) {
    const part = graph.keepsState ? promptPart : prompt.length;
    let state = graph.empty;
    for (;;) {
      throwIfGone(signal);
      const at = state.length;
      const result = await inTurn(() => graph.run(prompt.slice(at, at + part), state), signal);
      ({ state } = result);
      if (used) used.promptTokens = state.length;
      if (state.length === prompt.length) return result;
    }
  }

  async function* answer(
    prompt: readonly number[],
    request: TextRequest,
    signal: AbortSignal,
  ): AsyncGenerator<string, Ended, void> {
    const { chances, used, maxTokens } = request;
    const decode = (some: readonly number[], before: readonly number[]) =>
      tokens.decode([...before, ...some]).slice(tokens.decode(before).length);
    const text = written(request.stop, decode, chances);
    const random = randomOf(request.seed ?? Math.floor(Math.random() * 2 ** 31));
    const recent = prompt.slice(-penaltyWindow);
    let made = 0;
    const ended = (finish: Ended['finish']): Ended => ({ finish, promptTokens: prompt.length, completionTokens: made });
    let { logits, state } = await begin(prompt, request, signal);
    for (;;) {
      throwIfGone(signal);
      const drawn = draw(logits, request, recent, random, chances?.top);
      if (tokens.ends.has(drawn.token)) break;
      made++;
      if (used) used.completionTokens = made;
      recent.push(drawn.token);
      if (recent.length > penaltyWindow) recent.shift();
      const { text: passed, stopped } = text.push(drawn.token, chances && told(drawn, (id) => tokens.decode([id])));
      if (passed !== '') yield passed;
      if (stopped) return ended('stop');
      if (made >= maxTokens) break;
      const last = state;
      ({ logits, state } = await inTurn(() => graph.run([drawn.token], last), signal));
    }
    const rest = text.end();
    if (rest !== '') yield rest;
    return ended(made >= maxTokens ? 'length' : 'stop');
  }

  return {
    id: options.id,
    revision: `${options.revision}:${contextTokens}:${tokens.digest}`,
    parallel,
    contextTokens,
    countTokens: (prompt) => read(prompt).tokens.length,
    async *generate(request, signal) {
      const { tokens: all, stops } = read(request.prompt);
      const prompt = fitted(all, request, contextTokens);
      return yield* answer(prompt, { ...request, stop: [...request.stop, ...stops] }, signal);
    },
    close: () => model.close(),
  };
}
