// Writes ONNX files: the part of onnx.proto3 (IR version 8) that a graph of tensors needs. Field numbers are the proto's.
import { TextEncoder } from 'node:util';

/** A constant of the graph; values row-major. */
export interface Initializer {
  readonly name: string;
  readonly dims: readonly number[];
  readonly values: Float32Array | Float64Array | BigInt64Array;
}

export type AttributeValue =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly string: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] };

export interface GraphNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  /** `ai.onnx.ml` for trees and the like; ONNX's own operators when left out. */
  readonly domain?: string;
}

/** An input or output; a size that is free is given by a name. */
export interface GraphValue {
  readonly name: string;
  readonly type: 'float32' | 'float64' | 'int64' | 'string';
  readonly shape: readonly (number | string)[];
}

export interface Graph {
  readonly name: string;
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly initializers?: readonly Initializer[];
  /** Text that travels with the model. */
  readonly metadata?: Readonly<Record<string, string>>;
}

const elementTypes = { float32: 1, int64: 7, string: 8, float64: 11 } as const;
const opsetVersion = 17;
const mlOpsetVersion = 3;

/** The bytes of a ModelProto that holds `graph`. */
export function writeOnnx(graph: Graph): Uint8Array {
  const domains = new Set(graph.nodes.map(({ domain }) => domain ?? ''));
  return message([
    varint(1, 8),
    text(2, 'quintet'),
    bytes(7, graphOf(graph)),
    bytes(8, message([text(1, ''), varint(2, opsetVersion)])),
    ...(domains.has('ai.onnx.ml') ? [bytes(8, message([text(1, 'ai.onnx.ml'), varint(2, mlOpsetVersion)]))] : []),
    ...Object.entries(graph.metadata ?? {}).map(([key, value]) => bytes(14, message([text(1, key), text(2, value)]))),
  ]);
}

function graphOf({ name, nodes, inputs, outputs, initializers = [] }: Graph): Uint8Array {
  return message([
    ...nodes.map((node) => bytes(1, nodeOf(node))),
    text(2, name),
    ...initializers.map((each) => bytes(5, tensorOf(each))),
    ...inputs.map((each) => bytes(11, valueOf(each))),
    ...outputs.map((each) => bytes(12, valueOf(each))),
  ]);
}

function nodeOf({ op, inputs, outputs, attributes = {}, domain }: GraphNode): Uint8Array {
  return message([
    ...inputs.map((input) => text(1, input)),
    ...outputs.map((output) => text(2, output)),
    text(4, op),
    ...Object.entries(attributes).map(([name, value]) => bytes(5, attributeOf(name, value))),
    ...(domain ? [text(7, domain)] : []),
  ]);
}

function attributeOf(name: string, value: AttributeValue): Uint8Array {
  const parts = [text(1, name)];
  if ('float' in value) parts.push(float(2, value.float), varint(20, 1));
  else if ('int' in value) parts.push(varint(3, value.int), varint(20, 2));
  else if ('string' in value) parts.push(text(4, value.string), varint(20, 3));
  else if ('floats' in value)
    parts.push(bytes(7, new Uint8Array(Float32Array.from(value.floats).buffer)), varint(20, 6));
  else if ('ints' in value) parts.push(bytes(8, message(value.ints.map(number))), varint(20, 7));
  else parts.push(...value.strings.map((each) => text(9, each)), varint(20, 8));
  return message(parts);
}

function tensorOf({ name, dims, values }: Initializer): Uint8Array {
  return message([
    bytes(1, message(dims.map(number))),
    varint(2, elementTypes[typeOf(values)]),
    text(8, name),
    bytes(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
  ]);
}

function typeOf(values: Initializer['values']): 'float32' | 'float64' | 'int64' {
  if (values instanceof Float32Array) return 'float32';
  return values instanceof Float64Array ? 'float64' : 'int64';
}

function valueOf({ name, type, shape }: GraphValue): Uint8Array {
  const dims = shape.map((size) => bytes(1, typeof size === 'number' ? varint(1, size) : text(2, size)));
  const tensor = message([varint(1, elementTypes[type]), bytes(2, message(dims))]);
  return message([text(1, name), bytes(2, message([bytes(1, tensor)]))]);
}

const encoder = new TextEncoder();

function message(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function text(field: number, value: string): Uint8Array {
  return bytes(field, encoder.encode(value));
}

function bytes(field: number, value: Uint8Array): Uint8Array {
  return message([number((field << 3) | 2), number(value.length), value]);
}

function varint(field: number, value: number): Uint8Array {
  return message([number(field << 3), number(value)]);
}

function float(field: number, value: number): Uint8Array {
  return message([number((field << 3) | 5), new Uint8Array(Float32Array.of(value).buffer)]);
}

/** A base-128 varint; negative numbers as 64-bit two's complement. */
function number(value: number): Uint8Array {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    out.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return Uint8Array.from(out);
}
