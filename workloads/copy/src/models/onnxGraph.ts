// A causal language model's graph, as Optimum and transformers export it: token by token, with the state of those before it handed from run to run.
import { QuintetError } from '@quintet/runtime';
import type { OnnxModel, Tensor } from '@quintet/runtime/onnx';

/** What the graph remembers of a text. */
export interface GraphState {
  readonly length: number;
  readonly past: Readonly<Record<string, Tensor>>;
  /** Where the graph keeps no state, all tokens are given to it each time. */
  readonly tokens: readonly number[];
}

export interface LanguageGraph {
  readonly empty: GraphState;
  /** Bytes that the state of each token takes. */
  readonly bytesPerToken: number;
  /** Whether a prompt may be read in parts. */
  readonly keepsState: boolean;
  /** Logits of what follows the last of `tokens`, and the state after them. */
  run: (tokens: readonly number[], state: GraphState) => Promise<{ logits: Float32Array; state: GraphState }>;
}

const pastName = /^past_key_values\.(\d+)\.(.*)$/;
const known = new Set(['input_ids', 'attention_mask', 'position_ids', 'use_cache_branch', 'num_logits_to_keep']);

/** @param sizes Heads and their width, where the graph leaves them free. Throws `MODEL_INVALID` where it takes or gives something else. */
export function languageGraph(model: OnnxModel, sizes: { heads?: number; width?: number }): LanguageGraph {
  const named = new Map(model.inputs.map((input) => [input.name, input]));
  const pasts = model.inputs.filter(({ name }) => pastName.test(name));
  const strange = model.inputs.find(({ name }) => !known.has(name) && !pastName.test(name));
  if (strange || !named.has('input_ids') || !model.outputs.some(({ name }) => name === 'logits')) {
    const reason = strange
      ? `it asks for ${strange.name}, which no text generation gives`
      : 'a language model takes input_ids and gives logits';
    throw new QuintetError('MODEL_INVALID', { reason });
  }
  const emptyPast: Record<string, Tensor> = {};
  let bytesPerToken = 0;
  for (const { name, shape, type } of pasts) {
    const [heads, width] = [sizeOf(shape[1], sizes.heads), sizeOf(shape[3], sizes.width)];
    if (shape.length !== 4 || heads === undefined || width === undefined)
      throw new QuintetError('MODEL_INVALID', { reason: `the sizes of ${name} are neither in it nor in config.json` });
    const half = type === 'float16';
    const data = half ? new Uint16Array(0) : new Float32Array(0);
    emptyPast[name] = { type: half ? 'float16' : 'float32', data, dims: [1, heads, 0, width] };
    bytesPerToken += heads * width * (half ? 2 : 4);
  }
  const keepsState = pasts.length > 0;
  const int64 = (values: readonly number[], dims = [1, values.length]): Tensor => ({
    type: 'int64',
    data: BigInt64Array.from(values, BigInt),
    dims,
  });
  return {
    empty: { length: 0, past: emptyPast, tokens: [] },
    bytesPerToken,
    keepsState,
    run: async (tokens, state) => {
      const given = keepsState ? tokens : [...state.tokens, ...tokens];
      const length = state.length + tokens.length;
      const begin = length - given.length;
      const feeds: Record<string, Tensor> = { ...state.past };
      const feed = (name: string, tensor: () => Tensor) => {
        if (named.has(name)) feeds[name] = tensor();
      };
      feed('input_ids', () => int64(given));
      feed('attention_mask', () => int64(new Array<number>(length).fill(1)));
      feed('position_ids', () => int64(given.map((_, index) => begin + index)));
      feed('use_cache_branch', () => ({ type: 'bool', data: Uint8Array.of(state.length > 0 ? 1 : 0), dims: [1] }));
      feed('num_logits_to_keep', () => int64([1], []));
      const answer = await model.run(feeds);
      const past: Record<string, Tensor> = {};
      for (const { name } of pasts) {
        const present = answer[name.replace('past_key_values', 'present')];
        if (!present) throw new QuintetError('MODEL_INVALID', { reason: `it takes ${name} and gives no state for it` });
        past[name] = present;
      }
      return { logits: lastRow(answer['logits']), state: { length, past, tokens: keepsState ? [] : given } };
    },
  };
}

function sizeOf(declared: number | string | undefined, configured: number | undefined): number | undefined {
  return typeof declared === 'number' && declared > 0 ? declared : configured;
}

function lastRow(logits: Tensor | undefined): Float32Array {
  const size = logits?.dims.at(-1) ?? 0;
  if (!logits || size === 0) throw new QuintetError('MODEL_INVALID', { reason: 'it gives no logits' });
  const { data, type } = logits;
  // A copy: a view would hold the logits of the whole prompt until the answer's next turn.
  if (data instanceof Float32Array) return data.slice(-size);
  if (type !== 'float16') throw new QuintetError('MODEL_INVALID', { reason: `its logits are ${type}` });
  const halves = new Float16Array(data.buffer as ArrayBuffer, data.byteOffset, data.length);
  return Float32Array.from(halves.subarray(-size));
}
