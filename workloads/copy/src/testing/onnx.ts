// Writes small ONNX language models for tests: folders as transformers.js reads them, over bytes.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Graph, type GraphNode, type Initializer, writeOnnx } from '@quintet/runtime/onnx';
import { byteNames, endToken } from './gguf.ts';

const size = endToken + 1;

export interface OnnxLanguage {
  /** Logits of what follows each token, row by row. */
  table: Float32Array;
  /** What each token that stood before takes from its own logit; only with a state can the graph know of those. */
  fatigue: number;
  chatTemplate?: string;
  context?: number;
}

/**
 * `folder/onnx/model.onnx` and its tokenizer. Logits are the row of the last token, less `fatigue` for each time that a token stood in the text so far. With
 * `state` the graph keeps what it has read (the one-hot rows of all tokens, as keys and as values), without it it is given all tokens each time.
 */
export function onnxLanguage(folder: string, language: OnnxLanguage, state: boolean): void {
  mkdirSync(join(folder, 'onnx'), { recursive: true });
  writeFileSync(join(folder, 'onnx/model.onnx'), writeOnnx(graphOf(language, state)));
  const write = (name: string, content: object) => writeFileSync(join(folder, name), JSON.stringify(content));
  write('config.json', { eos_token_id: endToken, max_position_embeddings: language.context ?? 512 });
  write('tokenizer_config.json', {
    eos_token: '<|endoftext|>',
    ...(language.chatTemplate !== undefined && { chat_template: language.chatTemplate }),
  });
  write('tokenizer.json', {
    version: '1.0',
    added_tokens: [
      {
        id: endToken,
        content: '<|endoftext|>',
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      },
    ],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      vocab: Object.fromEntries([...byteNames, '<|endoftext|>'].map((name, id) => [name, id])),
      merges: [],
    },
  });
}

function graphOf({ table, fatigue }: OnnxLanguage, state: boolean): Graph {
  const identity = new Float32Array(size * size);
  for (let id = 0; id < size; id++) identity[id * size + id] = 1;
  const initializers: Initializer[] = [
    { name: 'table', dims: [size, size], values: table },
    { name: 'identity', dims: [size, size], values: identity },
    { name: 'fatigue', dims: [1], values: Float32Array.of(fatigue) },
    { name: 'heads', dims: [1], values: BigInt64Array.of(1n) },
    { name: 'time', dims: [1], values: BigInt64Array.of(2n) },
  ];
  const joined = (past: string, present: string): GraphNode => ({
    op: state ? 'Concat' : 'Identity',
    inputs: state ? [past, 'new'] : ['new'],
    outputs: [present],
    ...(state && { attributes: { axis: { int: 2 } } }),
  });
  const past = (name: string) => ({ name, type: 'float32' as const, shape: ['batch', 1, 'past', size] });
  return {
    name: 'language',
    initializers,
    nodes: [
      { op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['next'] },
      { op: 'Gather', inputs: ['identity', 'input_ids'], outputs: ['rows'] },
      { op: 'Unsqueeze', inputs: ['rows', 'heads'], outputs: ['new'] },
      joined('past_key_values.0.key', 'present.0.key'),
      joined('past_key_values.0.value', 'present.0.value'),
      {
        op: 'ReduceSum',
        inputs: ['present.0.value', 'time'],
        outputs: ['counts'],
        attributes: { keepdims: { int: 0 } },
      },
      { op: 'Mul', inputs: ['counts', 'fatigue'], outputs: ['tired'] },
      { op: 'Sub', inputs: ['next', 'tired'], outputs: ['logits'] },
    ],
    inputs: [
      { name: 'input_ids', type: 'int64', shape: ['batch', 'length'] },
      { name: 'attention_mask', type: 'int64', shape: ['batch', 'total'] },
      ...(state ? [past('past_key_values.0.key'), past('past_key_values.0.value')] : []),
    ],
    outputs: [
      { name: 'logits', type: 'float32', shape: ['batch', 'length', size] },
      ...(state ? ['present.0.key', 'present.0.value'].map((name) => past(name)) : []),
    ],
  };
}
