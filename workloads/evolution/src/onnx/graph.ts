// A graph that is written node by node: each call gives the name of what it computes.
import type { AttributeValue, GraphNode, Initializer } from '@quintet/runtime/onnx';
import { mebibytes } from '../data/size.ts';
import { EvolutionError } from '../errors.ts';

/** Bytes of constants: a file holds at most 2 GiB, and long before that nobody wants to load it. */
const mostBytes = 256 << 20;

/** As the proto numbers them. */
const elementTypes = { float32: 1, int64: 7, float64: 11 } as const;

export class GraphWriter {
  readonly nodes: GraphNode[] = [];
  readonly initializers: Initializer[] = [];
  readonly #known = new Map<string, string>();
  readonly #inputs: ReadonlySet<string>;
  #names = 0;
  #bytes = 0;

  /** @param inputs Names that are the caller's, in the one space of names that a graph has */
  constructor(inputs: readonly string[]) {
    this.#inputs = new Set(inputs);
  }

  /** What is computed once however often it is asked for. */
  once(key: string, make: () => string): string {
    const made = this.#known.get(key) ?? make();
    this.#known.set(key, made);
    return made;
  }

  op(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    domain?: 'ai.onnx.ml',
  ): string {
    const output = this.#fresh('v');
    this.nodes.push({ op, inputs, outputs: [output], attributes, ...(domain ? { domain } : {}) });
    return output;
  }

  /** Of operators with two outputs. */
  pair(op: string, inputs: readonly string[], attributes: Readonly<Record<string, AttributeValue>>): [string, string] {
    const outputs: [string, string] = [this.#fresh('v'), this.#fresh('v')];
    this.nodes.push({ op, inputs, outputs, attributes });
    return outputs;
  }

  numbers(values: ArrayLike<number>, dims: readonly number[] = [values.length]): string {
    return this.#constant(Float32Array.from(values), dims);
  }

  doubles(values: Float64Array, dims: readonly number[]): string {
    return this.#constant(values, dims);
  }

  number(value: number): string {
    return this.numbers([value], [1]);
  }

  places(...values: number[]): string {
    return this.#constant(BigInt64Array.from(values, BigInt), [values.length]);
  }

  /** The node's name, or where an input has it, the next after it that none has. */
  output(
    op: string,
    inputs: readonly string[],
    name: string,
    attributes: Readonly<Record<string, AttributeValue>> = {},
    domain?: 'ai.onnx.ml',
  ): string {
    let output = name;
    while (this.#inputs.has(output)) output += '_';
    this.nodes.push({ op, inputs, outputs: [output], attributes, ...(domain ? { domain } : {}) });
    return output;
  }

  double(value: number): string {
    return this.once(`double ${value}`, () => this.doubles(Float64Array.of(value), [1]));
  }

  cast(value: string, to: keyof typeof elementTypes): string {
    return this.op('Cast', [value], { to: { int: elementTypes[to] } });
  }

  /** 1 where the condition holds. */
  indicator(condition: string): string {
    return this.cast(condition, 'float32');
  }

  /** @throws EvolutionError Unsupported where the graph becomes too large */
  #constant(values: Initializer['values'], dims: readonly number[]): string {
    this.#bytes += values.byteLength;
    if (this.#bytes > mostBytes)
      throw new EvolutionError(
        'Unsupported',
        `the model's constants (such as lines of linear trees, or rows of neighbours) take more than ${mebibytes(mostBytes)} in ONNX`,
        { field: 'spec.search.learners' },
      );
    const name = this.#fresh('c');
    this.initializers.push({ name, dims, values });
    return name;
  }

  #fresh(prefix: string): string {
    let name: string;
    do name = `${prefix}${this.#names++}`;
    while (this.#inputs.has(name));
    return name;
  }
}
