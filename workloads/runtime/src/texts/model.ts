// Mounted ONNX models over texts: a token classifier that says which words to keep, and a sentence embedding. Windows of all
// texts that are asked for at the same time run in common batches.
import { dirname } from 'node:path';
import { QuintetError } from '../errors.ts';
import type { Registry } from '../metrics.ts';
import { type OnnxModel, type OnnxProvider, openOnnx, type Tensor } from '../onnx/session.ts';
import { type Batcher, batcher } from '../work/batcher.ts';
import type { PaceOptions } from '../work/pace.ts';
import { type ModelTokens, modelTokens, type TokenizerFiles, tokenizerFilesIn, type Window } from './tokens.ts';

export interface WordOffsets {
  readonly start: ArrayLike<number>;
  readonly end: ArrayLike<number>;
}

export interface ModelFiles {
  readonly model: string;
  /** With tokenizer.json; the model's own folder when left out. */
  readonly folder?: string;
  /** The files of that folder, where they are not in one. */
  readonly tokenizer?: TokenizerFiles;
}

export interface ModelOptions extends PaceOptions {
  readonly providers?: readonly OnnxProvider[];
  readonly registry?: Registry;
}

export interface Classifier {
  /** Per word the probability, 0 to 1, that it is to be kept: the mean over its tokens (LLMLingua-2, Pan et al. 2024). */
  score(text: string, words: WordOffsets, signal?: AbortSignal): Promise<Float32Array>;
  readonly provider: OnnxProvider;
  /** Batches of at most this share, above 0 to 1, of what `maxSize` allows. */
  readonly limit: (share: number) => void;
  close(): Promise<void>;
}

export interface Embedding {
  /** Mean of the token embeddings, of length 1; of a long text over windows spread evenly. Zeros for a text without words. */
  embed(text: string, signal?: AbortSignal): Promise<Float32Array>;
  /** As of a classifier. */
  readonly limit: (share: number) => void;
  close(): Promise<void>;
}

/** Windows of one text that an embedding looks at: more would cost seconds and change the direction little. */
const mostWindows = 8;
/** Characters that fill a window in most scripts and tokenizers. */
const longestPart = 4096;
/** Windows are cut between words; scripts without spaces have one a character. */
const alone = String.raw`[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]`;
const wordPattern = new RegExp(`${alone}|(?:(?!${alone})[\\p{L}\\p{M}\\p{N}_])+`, 'gu');

/** @throws MODEL_MISSING, MODEL_DAMAGED or MODEL_INVALID */
export async function openClassifier(files: ModelFiles, options: ModelOptions = {}): Promise<Classifier> {
  const runner = await openRunner(files, 'classifier', options);
  const { tokens, submit, model, limit, close } = runner;
  const output = model.outputs.find(({ name }) => name === 'logits') ?? model.outputs[0];
  const classes = output?.shape.at(-1);
  if (output?.shape.length !== 3 || (typeof classes === 'number' && classes > 2)) {
    await close();
    const reason = `a token classifier gives one or two figures per token, and this gives ${output?.shape.join(' × ')}`;
    throw new QuintetError('MODEL_INVALID', { reason });
  }
  return {
    provider: model.provider,
    limit,
    close,
    async score(text, { start, end }, signal) {
      const words = Array.from(start, (from, i) => ({ start: from, end: end[i] as number }));
      const sums = new Float32Array(words.length);
      const counts = new Uint16Array(words.length);
      await Promise.all(
        [...tokens.windows(text, words)].map(async (window) => {
          const logits = await submit(window, signal);
          const width = logits.length / window.ids.length;
          window.words.forEach((word, at) => {
            if (word < 0) return;
            const keep = logits[at * width + width - 1] as number;
            const drop = width === 2 ? (logits[at * width] as number) : 0;
            sums[word] = (sums[word] as number) + 1 / (1 + Math.exp(drop - keep));
            counts[word] = (counts[word] as number) + 1;
          });
        }),
      );
      return sums.map((sum, i) => sum / Math.max(1, counts[i] as number));
    },
  };
}

/** @throws MODEL_MISSING, MODEL_DAMAGED or MODEL_INVALID */
export async function openEmbedding(files: ModelFiles, options: ModelOptions = {}): Promise<Embedding> {
  const { tokens, submit, limit, close } = await openRunner(files, 'embedding', options);
  return {
    limit,
    close,
    async embed(text, signal) {
      const chosen = windowsOf(tokens, text);
      let sum: Float64Array | undefined;
      await Promise.all(
        chosen.map(async (window) => {
          const hidden = await submit(window, signal);
          // One row for the text where the model pools by itself, else one for each token.
          const rows = hidden.length % window.ids.length === 0 ? window.ids.length : 1;
          const width = hidden.length / rows;
          sum ??= new Float64Array(width);
          hidden.forEach((value, i) => {
            (sum as Float64Array)[i % width] = ((sum as Float64Array)[i % width] as number) + value;
          });
        }),
      );
      return normalised(sum ?? new Float64Array(0));
    },
  };
}

/** At most `mostWindows`, spread evenly. Of a long text no more is read than they need: the rest would be seconds of tokenizing. */
function windowsOf(tokens: ModelTokens, text: string): Window[] {
  if (text.length > mostWindows * longestPart) {
    const step = (text.length - longestPart) / (mostWindows - 1);
    return Array.from({ length: mostWindows }, (_, i) => Math.floor(i * step)).flatMap((from) => {
      const part = text.slice(from, from + longestPart);
      const { value } = tokens.windows(part, wordsOf(part)).next();
      return value ? [value as Window] : [];
    });
  }
  const windows = [...tokens.windows(text, wordsOf(text))];
  const step = Math.max(1, windows.length / mostWindows);
  return Array.from(
    { length: Math.min(windows.length, mostWindows) },
    (_, i) => windows[Math.floor(i * step)] as Window,
  );
}

function wordsOf(text: string): { start: number; end: number }[] {
  return Array.from(text.matchAll(wordPattern), ({ index, 0: { length } }) => ({ start: index, end: index + length }));
}

/** Cosine; 1 for two texts without words. */
export function similarity(a: Float32Array, b: Float32Array): number {
  if (a.length === 0 && b.length === 0) return 1;
  let sum = 0;
  for (let i = 0; i < Math.min(a.length, b.length); i++) sum += (a[i] as number) * (b[i] as number);
  return Math.max(-1, Math.min(1, Math.round(sum * 10_000) / 10_000));
}

interface Runner {
  readonly tokens: ModelTokens;
  readonly model: OnnxModel;
  /** The figures of the window's tokens, row by row. */
  readonly submit: (window: Window, signal?: AbortSignal) => Promise<Float32Array>;
  readonly limit: (share: number) => void;
  readonly close: () => Promise<void>;
}

async function openRunner(
  { model: path, folder = dirname(path), tokenizer }: ModelFiles,
  name: string,
  { providers, registry, ...pace }: ModelOptions,
): Promise<Runner> {
  const tokens = modelTokens(tokenizer ?? tokenizerFilesIn(folder));
  const model = await openOnnx(path, { ...(providers && { providers }) });
  const queue: Batcher<Window, Float32Array> = batcher({
    name,
    maxQueue: 100_000,
    ...pace,
    ...(registry && { registry }),
    run: (windows) => runBatch(model, windows),
  });
  return {
    tokens,
    model,
    submit: (window, signal) => queue.submit(window, signal ? { signal } : {}),
    limit: queue.limit,
    close: async () => {
      await queue.close();
      await model.close();
    },
  };
}

async function runBatch(model: OnnxModel, windows: readonly Window[]): Promise<Float32Array[]> {
  const longest = Math.max(...windows.map(({ ids }) => ids.length));
  const dims = [windows.length, longest];
  const ids = new BigInt64Array(windows.length * longest);
  const mask = new BigInt64Array(windows.length * longest);
  windows.forEach((window, row) =>
    window.ids.forEach((id, column) => {
      ids[row * longest + column] = BigInt(id);
      mask[row * longest + column] = 1n;
    }),
  );
  const given: Record<string, BigInt64Array> = {
    input_ids: ids,
    attention_mask: mask,
    token_type_ids: new BigInt64Array(ids.length),
  };
  const feeds: Record<string, Tensor> = {};
  for (const { name } of model.inputs) {
    const data = given[name];
    if (!data) throw new QuintetError('MODEL_INVALID', { reason: `its input ${name} is none of a text model` });
    feeds[name] = { type: 'int64', data, dims };
  }
  const output = model.outputs.find(({ name }) => name === 'logits') ?? model.outputs[0];
  const result = (await model.run(feeds, [output?.name ?? '']))[output?.name ?? ''];
  if (!(result?.data instanceof Float32Array))
    throw new QuintetError('MODEL_INVALID', { reason: 'its output is not of 32-bit floating point' });
  const data = result.data;
  const width = data.length / windows.length;
  const perToken = result.dims.length === 3 ? (result.dims[2] as number) : 0;
  return windows.map((window, row) =>
    data.slice(row * width, perToken ? row * width + window.ids.length * perToken : (row + 1) * width),
  );
}

function normalised(values: Float64Array): Float32Array {
  const length = Math.hypot(...values) || 1;
  return Float32Array.from(values, (value) => value / length);
}
