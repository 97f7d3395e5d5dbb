// What was learned about each column of the matrix that a learner sees. Plain data: it is stored, shipped and exported as it is.
import type { Feature } from '../data/features.ts';
import type { Matrix } from './matrix.ts';

/** One column before interactions. All numbers are single precision, and each formula is computed in single precision. */
export type Step =
  /** clip((log?(x or fill) − shift) × factor), NaN staying NaN where there is no fill. */
  | {
      readonly kind: 'Number';
      readonly feature: number;
      readonly fill: number | null;
      readonly log: boolean;
      readonly shift: number;
      readonly factor: number;
      readonly clip: number | null;
    }
  /** 1 where the cell is missing. */
  | { readonly kind: 'Missing'; readonly feature: number }
  /** 1 where the cell has this level; -1 stands for missing. */
  | { readonly kind: 'Level'; readonly feature: number; readonly code: number }
  /** A number for each level, one for missing, one for levels that were not there. */
  | {
      readonly kind: 'Table';
      readonly feature: number;
      readonly values: Float32Array;
      readonly missing: number | null;
      readonly other: number;
    };

export interface Preprocessing {
  readonly steps: readonly Step[];
  /** Columns of the matrix: the value of one step, or the product of two. */
  readonly outputs: readonly (readonly [number] | readonly [number, number])[];
}

export function transform(preprocessing: Preprocessing, features: readonly Feature[], rows: Int32Array): Matrix {
  const { steps, outputs } = preprocessing;
  const used = new Set(outputs.flat());
  const values = steps.map((step, i) => (used.has(i) ? valuesOf(step, features[step.feature]!, rows) : undefined));
  const data = new Float32Array(rows.length * outputs.length);
  for (const [column, [first, second]] of outputs.entries()) {
    const a = values[first]!;
    const b = second === undefined ? undefined : values[second]!;
    for (let i = 0, at = column; i < rows.length; i++, at += outputs.length) data[at] = b ? a[i]! * b[i]! : a[i]!;
  }
  return { rows: rows.length, columns: outputs.length, data };
}

export function valuesOf(step: Step, feature: Feature, rows: Int32Array): Float32Array {
  const { codes, values } = feature;
  switch (step.kind) {
    case 'Number': {
      const result = new Float32Array(rows.length);
      for (let i = 0; i < rows.length; i++) result[i] = scaled(step, values![rows[i]!]!);
      return result;
    }
    case 'Missing':
      return Float32Array.from(rows, (row) => ((codes ? codes[row] === -1 : Number.isNaN(values![row]!)) ? 1 : 0));
    case 'Level':
      return Float32Array.from(rows, (row) => (codes![row] === step.code ? 1 : 0));
    case 'Table': {
      const missing = step.missing ?? Number.NaN;
      return Float32Array.from(rows, (row) => {
        const code = codes![row]!;
        return code === -1 ? missing : (step.values[code] ?? step.other);
      });
    }
  }
}

function scaled(step: Step & { kind: 'Number' }, raw: number): number {
  let x = Number.isNaN(raw) && step.fill !== null ? step.fill : raw;
  if (step.log) x = Math.fround(Math.sign(x) * Math.fround(Math.log(Math.fround(1 + Math.abs(x)))));
  x = Math.fround(Math.fround(x - step.shift) * step.factor);
  if (step.clip !== null) x = Math.min(step.clip, Math.max(-step.clip, x));
  return x;
}
