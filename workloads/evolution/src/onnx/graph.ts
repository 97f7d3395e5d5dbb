// A graph that is written node by node: each call gives the name of what it computes.
import type { AttributeValue, GraphNode, Initializer } from '@quintet/runtime/onnx';

export class GraphWriter {
  readonly nodes: GraphNode[] = [];
  readonly initializers: Initializer[] = [];
  readonly #known = new Map<string, string>();
  #names = 0;

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
    const output = `v${this.#names++}`;
    this.nodes.push({ op, inputs, outputs: [output], attributes, ...(domain ? { domain } : {}) });
    return output;
  }

  numbers(values: ArrayLike<number>, dims: readonly number[] = [values.length]): string {
    const name = `c${this.#names++}`;
    this.initializers.push({ name, dims, values: Float32Array.from(values) });
    return name;
  }

  number(value: number): string {
    return this.numbers([value], [1]);
  }

  places(...values: number[]): string {
    const name = `c${this.#names++}`;
    this.initializers.push({ name, dims: [values.length], values: BigInt64Array.from(values, BigInt) });
    return name;
  }

  /** 1 where the condition holds. */
  indicator(condition: string): string {
    return this.op('Cast', [condition], { to: { int: 1 } });
  }
}
