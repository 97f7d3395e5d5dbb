// Writes small GGUF models for tests and benchmarks: GPT-2's shape over bytes, by the published layout of GGUF version 3.
import { writeFileSync } from 'node:fs';

type Value = string | number | boolean | string[] | { f32: number } | { i32s: number[] };

export interface Tensor {
  name: string;
  /** Fastest dimension first, as ggml counts. */
  shape: number[];
  data: Float32Array;
  /** Q8_0: blocks of 32 with a half-precision scale. */
  type?: 'F32' | 'Q8_0';
}

const alignment = 32;

export function writeGguf(path: string, metadata: Record<string, Value>, tensors: readonly Tensor[]): void {
  const parts: Buffer[] = [];
  let length = 0;
  const push = (buffer: Buffer) => {
    parts.push(buffer);
    length += buffer.length;
  };
  const u32 = (value: number) => {
    const buffer = Buffer.alloc(4);
    buffer.writeUInt32LE(value);
    push(buffer);
  };
  const u64 = (value: number) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigUInt64LE(BigInt(value));
    push(buffer);
  };
  const text = (value: string) => {
    const bytes = Buffer.from(value);
    u64(bytes.length);
    push(bytes);
  };
  const f32 = (value: number) => {
    const buffer = Buffer.alloc(4);
    buffer.writeFloatLE(value);
    push(buffer);
  };
  const pad = () => push(Buffer.alloc((alignment - (length % alignment)) % alignment));

  push(Buffer.from('GGUF'));
  u32(3);
  u64(tensors.length);
  u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    text(key);
    if (typeof value === 'string') {
      u32(8);
      text(value);
    } else if (typeof value === 'boolean') {
      u32(7);
      push(Buffer.from([value ? 1 : 0]));
    } else if (typeof value === 'number') {
      u32(4);
      u32(value);
    } else if (Array.isArray(value)) {
      u32(9);
      u32(8);
      u64(value.length);
      for (const item of value) text(item);
    } else if ('f32' in value) {
      u32(6);
      f32(value.f32);
    } else {
      u32(9);
      u32(5);
      u64(value.i32s.length);
      for (const item of value.i32s) u32(item);
    }
  }
  const bodies = tensors.map((tensor) => (tensor.type === 'Q8_0' ? q8(tensor.data) : bytesOf(tensor.data)));
  let offset = 0;
  tensors.forEach((tensor, index) => {
    text(tensor.name);
    u32(tensor.shape.length);
    for (const size of tensor.shape) u64(size);
    u32(tensor.type === 'Q8_0' ? 8 : 0);
    u64(offset);
    offset += Math.ceil((bodies[index] as Buffer).length / alignment) * alignment;
  });
  pad();
  for (const body of bodies) {
    push(body);
    pad();
  }
  writeFileSync(path, Buffer.concat(parts));
}

function bytesOf(data: Float32Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

function q8(data: Float32Array): Buffer {
  const out = Buffer.alloc((data.length / 32) * 34);
  const scale = new Float16Array(out.buffer, out.byteOffset, out.length / 2);
  for (let block = 0; block < data.length / 32; block++) {
    let most = 0;
    for (let i = 0; i < 32; i++) most = Math.max(most, Math.abs(data[block * 32 + i] as number));
    scale[block * 17] = most / 127;
    const unit = most === 0 ? 0 : 127 / most;
    for (let i = 0; i < 32; i++) out.writeInt8(Math.round((data[block * 32 + i] as number) * unit), block * 34 + 2 + i);
  }
  return out;
}

/** GPT-2's names for the 256 bytes: printable ones as they are, the others from U+0100 on. */
export const byteNames = (() => {
  const names: string[] = [];
  let next = 0;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    names.push(String.fromCodePoint(printable ? byte : 256 + next++));
  }
  return names;
})();

/** The token that ends a text, in `bigramModel` and `randomModel`. */
export const endToken = 256;

export interface Shape {
  layers: number;
  width: number;
  heads: number;
  context: number;
  /** Tokens beyond the bytes and the end of text, never made by `bigramModel`. */
  vocabulary?: number;
}

function metadataOf({ layers, width, heads, context, vocabulary = 257 }: Shape, chatTemplate?: string) {
  const extra = Array.from({ length: vocabulary - 257 }, (_, index) => `<unused${index}>`);
  return {
    'general.architecture': 'gpt2',
    'general.name': 'quintet test model',
    'gpt2.context_length': context,
    'gpt2.embedding_length': width,
    'gpt2.feed_forward_length': 4 * width,
    'gpt2.block_count': layers,
    'gpt2.attention.head_count': heads,
    'gpt2.attention.layer_norm_epsilon': { f32: 1e-9 },
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'gpt-2',
    'tokenizer.ggml.tokens': [...byteNames, '<|endoftext|>', ...extra],
    'tokenizer.ggml.token_type': { i32s: [...Array.from({ length: 256 }, () => 1), 3, ...extra.map(() => 5)] },
    // llama.cpp insists on a list; no text has this pair.
    'tokenizer.ggml.merges': [`${byteNames[0]} ${byteNames[0]}`],
    'tokenizer.ggml.bos_token_id': endToken,
    'tokenizer.ggml.eos_token_id': endToken,
    'tokenizer.ggml.add_bos_token': false,
    ...(chatTemplate === undefined ? {} : { 'tokenizer.chat_template': chatTemplate }),
  };
}

/** Weights of a GPT-2; `fill` gives the values of each matrix. */
function tensorsOf(
  { layers, width, context, vocabulary = 257 }: Shape,
  fill: (name: string, length: number) => Float32Array,
  type: 'F32' | 'Q8_0',
  tied = false,
): Tensor[] {
  const matrix = (name: string, ...shape: [number, number]): Tensor => ({
    name,
    shape,
    data: fill(name, shape[0] * shape[1]),
    type,
  });
  const vector = (name: string, length: number): Tensor => ({ name, shape: [length], data: fill(name, length) });
  return [
    matrix('token_embd.weight', width, vocabulary),
    { ...matrix('position_embd.weight', width, context), type: 'F32' },
    vector('output_norm.weight', width),
    vector('output_norm.bias', width),
    ...(tied ? [] : [matrix('output.weight', width, vocabulary)]),
    ...Array.from({ length: layers }, (_, layer) => [
      vector(`blk.${layer}.attn_norm.weight`, width),
      vector(`blk.${layer}.attn_norm.bias`, width),
      matrix(`blk.${layer}.attn_qkv.weight`, width, 3 * width),
      vector(`blk.${layer}.attn_qkv.bias`, 3 * width),
      matrix(`blk.${layer}.attn_output.weight`, width, width),
      vector(`blk.${layer}.attn_output.bias`, width),
      vector(`blk.${layer}.ffn_norm.weight`, width),
      vector(`blk.${layer}.ffn_norm.bias`, width),
      matrix(`blk.${layer}.ffn_up.weight`, width, 4 * width),
      vector(`blk.${layer}.ffn_up.bias`, 4 * width),
      matrix(`blk.${layer}.ffn_down.weight`, 4 * width, width),
      vector(`blk.${layer}.ffn_down.bias`, width),
    ]).flat(),
  ];
}

/**
 * A model of the given shape with small random weights, embedding and output shared as in GPT-2: its speed is real, its text is noise. The end of text has
 * the logit 0, about the median, so that with top-k no answer ends before its length.
 */
export function randomModel(path: string, shape: Shape, type: 'F32' | 'Q8_0' = 'F32', seed = 1): void {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  const fill = (name: string, length: number) => {
    const data = new Float32Array(length);
    if (name.endsWith('norm.weight')) return data.fill(1);
    if (name.endsWith('.bias')) return data;
    for (let i = 0; i < length; i++) data[i] = random() * 0.08;
    if (name === 'token_embd.weight') data.fill(0, endToken * shape.width, (endToken + 1) * shape.width);
    return data;
  };
  writeGguf(path, metadataOf(shape), tensorsOf(shape, fill, type, true));
}

/** Of `bigramModel`. */
const bigramWidth = 288;

/**
 * A model that was trained on `text` in closed form: which byte follows which, add-one smoothed. Its logits are the logarithms of `table`, which is returned:
 * `table[previous * 257 + next]` is the probability that `next` follows. Texts of the corpus are separated by `\0`, the end of text.
 */
export function bigramModel(path: string, text: string, chatTemplate?: string): Float64Array {
  const size = 257;
  const width = bigramWidth;
  const shape: Shape = { layers: 1, width, heads: 9, context: 1024 };
  const table = new Float64Array(size * size).fill(1e-6);
  const ids = [...Buffer.from(text)].map((byte) => (byte === 0 ? endToken : byte));
  for (let i = 0; i + 1 < ids.length; i++) {
    const at = (ids[i] as number) * size + (ids[i + 1] as number);
    table[at] = (table[at] as number) + 1;
  }
  for (let row = 0; row < size; row++) {
    const sum = table.subarray(row * size, (row + 1) * size).reduce((total, count) => total + count, 0);
    for (let column = 0; column < size; column++)
      table[row * size + column] = (table[row * size + column] as number) / sum;
  }
  // Embeddings are unit vectors, attention and feed-forward add nothing, and the last norm is undone: what reaches the output is the unit vector again.
  const mean = 1 / width;
  const deviation = Math.sqrt(mean * (1 - mean));
  const fill = (name: string, length: number) => {
    const data = new Float32Array(length);
    if (name === 'token_embd.weight') for (let id = 0; id < size; id++) data[id * width + id] = 1;
    else if (name === 'output.weight') {
      for (let next = 0; next < size; next++) {
        for (let previous = 0; previous < size; previous++) {
          data[next * width + previous] = Math.log(table[previous * size + next] as number);
        }
      }
    } else if (name === 'output_norm.weight') data.fill(deviation);
    else if (name === 'output_norm.bias') data.fill(mean);
    else if (name.endsWith('norm.weight')) data.fill(1);
    return data;
  };
  writeGguf(path, metadataOf(shape, chatTemplate), tensorsOf(shape, fill, 'F32'));
  return table;
}

/** A LoRA adapter of rank one for `bigramModel`: whatever came before, `letter` is by far the likeliest next. */
export function letterAdapter(path: string, letter: string): void {
  const all = new Float32Array(bigramWidth).fill(1);
  const one = new Float32Array(endToken + 1);
  one[letter.charCodeAt(0)] = 60;
  const metadata = {
    'general.architecture': 'gpt2',
    'general.type': 'adapter',
    'adapter.type': 'lora',
    'adapter.lora.alpha': { f32: 1 },
  };
  writeGguf(path, metadata, [
    { name: 'output.weight.lora_a', shape: [bigramWidth, 1], data: all },
    { name: 'output.weight.lora_b', shape: [1, endToken + 1], data: one },
  ]);
}
