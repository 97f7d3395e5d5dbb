// Small models for tests, written here: a tokenizer of whole words, a classifier and an embedding that are one table each.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeOnnx } from '../onnx/write.ts';

const vocabulary = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'alpha', 'beta', 'gamma', 'delta', 'the', '.', 'epsilon'];

/** A folder with tokenizer.json and model.onnx, which gives each token its row of `table`. */
export function writeModel(folder: string, output: string, table: (token: string) => readonly number[]): string {
  mkdirSync(folder, { recursive: true });
  const rows = vocabulary.map(table);
  const width = (rows[0] as readonly number[]).length;
  const special = (id: number) => ({ id: vocabulary[id], type_id: 0 });
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [0, 1, 2, 3].map((id) => ({
      id,
      content: vocabulary[id],
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: special(2) }, { Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: special(3) }],
      pair: [],
      special_tokens: Object.fromEntries(
        [2, 3].map((id) => [vocabulary[id], { id: vocabulary[id], ids: [id], tokens: [vocabulary[id]] }]),
      ),
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
    },
  };
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ max_position_embeddings: 16 }));
  const path = join(folder, 'model.onnx');
  writeFileSync(
    path,
    writeOnnx({
      name: 'table',
      inputs: ['input_ids', 'attention_mask'].map((name) => ({ name, type: 'int64', shape: ['n', 'length'] })),
      outputs: [{ name: output, type: 'float32', shape: ['n', 'length', width] }],
      initializers: [{ name: 'table', dims: [rows.length, width], values: Float32Array.from(rows.flat()) }],
      nodes: [{ op: 'Gather', inputs: ['table', 'input_ids'], outputs: [output], attributes: { axis: { int: 0 } } }],
    }),
  );
  return path;
}

/** The logit of keeping a token. */
export const keepLogit: Record<string, number> = { alpha: 4, beta: 1, gamma: -1, delta: -4, epsilon: 2, the: -6 };
export const classifierTable = (token: string): number[] => [0, keepLogit[token] ?? 0];
/** Alpha and beta point one way, gamma and delta another; the rest nowhere. */
export const embeddingTable = (token: string): number[] => [
  token === 'alpha' || token === 'beta' ? 1 : 0,
  token === 'gamma' || token === 'delta' ? 1 : 0,
];
