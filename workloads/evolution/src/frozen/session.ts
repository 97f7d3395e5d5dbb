// A frozen model at work: its inputs are filled from the columns of a table, its output is read as rows × outputs.
import type * as Ort from 'onnxruntime-node';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Feature, FeatureSpec } from '../data/features.ts';
import { byNumberOrText, type Task } from '../data/problem.ts';
import { EvolutionError, messageOf } from '../errors.ts';
import type { FrozenModel } from './model.ts';

/** What is predicted. */
export interface Target {
  readonly task: Task;
  readonly classes: readonly string[];
  readonly outputs: number;
}

export interface FrozenSession {
  /** Rows × outputs, as learners predict. @throws EvolutionError InputInvalid naming the row without a number, or a probability */
  predict: (features: readonly Feature[], rows: Int32Array) => Promise<Float64Array>;
  close: () => Promise<void>;
}

type Tensors = typeof Ort.Tensor;
type Metadata = InferenceSession.TensorValueMetadata;
type Fill = (features: readonly Feature[], rows: Int32Array) => Tensor;

const rowsAtOnce = 4096;
/** No level has this text; what the model makes of words that it does not know is the model's. */
const unknownLevel = '\u0000';
const tolerance = 1e-3;

/** @throws EvolutionError ModelDamaged, or Unsupported naming the input or output that does not fit */
export async function openFrozen(
  model: FrozenModel,
  features: readonly FeatureSpec[],
  target: Target,
): Promise<FrozenSession> {
  const { InferenceSession: sessions, Tensor: tensors } = await import('onnxruntime-node');
  const session = await sessions
    .create(model.bytes, { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 })
    .catch((cause: unknown) => {
      throw new EvolutionError('ModelDamaged', `${titleOf(model)} cannot be read: ${firstLine(cause)}`, where, cause);
    });
  try {
    const inputs = session.inputMetadata.map((input) => {
      if (!input.isTensor) throw unfit(model, `its input ${input.name} is no tensor`);
      return [input.name, fillOf(model, input, session.inputMetadata.length, features, tensors)] as const;
    });
    const output = outputOf(model, session.outputMetadata, target);
    return {
      predict: async (columns, rows) => {
        const values = new Float64Array(rows.length * target.outputs);
        for (let start = 0; start < rows.length; start += rowsAtOnce) {
          const part = rows.subarray(start, start + rowsAtOnce);
          const feeds = Object.fromEntries(inputs.map(([name, fill]) => [name, fill(columns, part)]));
          const answer = await session.run(feeds, [output]).catch((cause: unknown) => {
            throw new EvolutionError('InputInvalid', `${titleOf(model)} fails: ${firstLine(cause)}`, where, cause);
          });
          values.set(read(model, answer[output]!, part, target), start * target.outputs);
        }
        return values;
      },
      close: () => session.release(),
    };
  } catch (error) {
    await session.release();
    throw error;
  }
}

const where = { field: 'spec.search.frozen' };

function titleOf({ name }: FrozenModel): string {
  return `the frozen model ${name}`;
}

function unfit(model: FrozenModel, what: string, fix?: string): EvolutionError {
  return new EvolutionError('Unsupported', `${titleOf(model)}: ${what}`, { ...where, ...(fix && { fix }) });
}

/** An input for each column by its name, or one matrix of all columns in the order of the file. */
function fillOf(
  model: FrozenModel,
  { name, type, shape }: Metadata,
  inputs: number,
  features: readonly FeatureSpec[],
  tensors: Tensors,
): Fill {
  const width = shape.length === 2 ? shape[1]! : 1;
  const at = features.findIndex((feature) => feature.name === name);
  const isColumn = at >= 0 && (width === 1 || typeof width === 'string');
  if (!isColumn && inputs === 1 && shape.length === 2) return matrixOf(model, { name, type, shape }, features, tensors);
  const feature = features[at];
  if (!feature) {
    throw unfit(
      model,
      `its input ${name} is no column that pipelines see`,
      `these are ${features.map((each) => each.name).join(', ')}`,
    );
  }
  if (!isColumn) throw unfit(model, `its input ${name} wants ${width} numbers a row, and the column has one`);
  const dims = (rows: number) => (shape.length === 2 ? [rows, 1] : [rows]);
  if (feature.kind === 'Category') {
    if (type !== 'string') throw unfit(model, `its input ${name} is ${type}, and the column Categorical`);
    return (columns, rows) => {
      const { codes, levels = [] } = columns[at]!;
      const text = Array.from(rows, (row) => (codes![row] === -1 ? '' : (levels[codes![row]!] ?? unknownLevel)));
      return new tensors('string', text, dims(rows.length));
    };
  }
  const numbers = numbersOf(model, name, type, tensors);
  return (columns, rows) =>
    numbers(
      Float32Array.from(rows, (row) => columns[at]!.values![row]!),
      dims(rows.length),
    );
}

function matrixOf(
  model: FrozenModel,
  { name, type, shape }: Pick<Metadata, 'name' | 'type' | 'shape'>,
  features: readonly FeatureSpec[],
  tensors: Tensors,
): Fill {
  const words = features.find((feature) => feature.kind === 'Category');
  if (words) throw unfit(model, `its input ${name} takes numbers alone, and the column ${words.name} holds words`);
  const width = shape[1]!;
  if (typeof width === 'number' && width !== features.length)
    throw unfit(model, `its input ${name} wants ${width} numbers a row, and the table gives ${features.length}`);
  const numbers = numbersOf(model, name, type, tensors);
  return (columns, rows) => {
    const all = new Float32Array(rows.length * columns.length);
    for (const [j, { values }] of columns.entries())
      for (let i = 0; i < rows.length; i++) all[i * columns.length + j] = values![rows[i]!]!;
    return numbers(all, [rows.length, columns.length]);
  };
}

function numbersOf(model: FrozenModel, name: string, type: string, tensors: Tensors) {
  if (type !== 'float32' && type !== 'float64') throw unfit(model, `its input ${name} is ${type}, not float or double`);
  return (values: Float32Array, dims: number[]): Tensor =>
    type === 'float32' ? new tensors('float32', values, dims) : new tensors('float64', Float64Array.from(values), dims);
}

/** The first that may hold what is predicted; one called a probability before others. */
function outputOf(model: FrozenModel, outputs: readonly InferenceSession.ValueMetadata[], target: Target): string {
  const widths = target.task === 'Binary' ? [1, 2] : [target.outputs];
  const fits = (output: InferenceSession.ValueMetadata): boolean => {
    if (!output.isTensor || !/^float(32|64)$/.test(output.type) || output.shape.length > 2) return false;
    const width = output.shape.length === 2 ? output.shape[1]! : 1;
    return typeof width !== 'number' || widths.includes(width);
  };
  const found = outputs.filter(fits).toSorted((a, b) => Number(/prob/i.test(b.name)) - Number(/prob/i.test(a.name)))[0];
  if (found) return found.name;
  const maps = outputs.some((output) => !output.isTensor);
  throw unfit(
    model,
    `none of its outputs ${outputs.map((output) => output.name).join(', ')} holds ${widths.join(' or ')} floats a row`,
    maps ? 'convert it with zipmap=False' : undefined,
  );
}

/** One column of a binary task is the positive class; several are the classes in their order, as scikit-learn has them. */
function read(model: FrozenModel, answer: Tensor, rows: Int32Array, target: Target): Float64Array {
  const { task, outputs, classes } = target;
  const data = answer.data as Float32Array | Float64Array;
  const width = data.length / rows.length;
  if (width !== outputs && !(task === 'Binary' && width === 2))
    throw unfit(model, `it gives ${width} numbers a row, not ${outputs}`);
  const positive = width > outputs && byNumberOrText(classes[0]!, classes[1]!) < 0 ? 1 : 0;
  const isProbability = task !== 'Regression';
  const values = Float64Array.from({ length: rows.length * outputs }, (_, i) => {
    const value = data[width > outputs ? 2 * i + positive : i]!;
    const wrong = !Number.isFinite(value) || (isProbability && (value < -tolerance || value > 1 + tolerance));
    if (!wrong) return isProbability ? Math.min(1, Math.max(0, value)) : value;
    throw new EvolutionError(
      'InputInvalid',
      `${titleOf(model)} gives ${value} for row ${rows[Math.floor(i / outputs)]! + 1}, which is no ${isProbability ? 'probability' : 'number'}`,
      { ...where, fix: 'let the graph impute missing cells, and end in probabilities' },
    );
  });
  if (task === 'Multiclass') refuseUnnormalised(model, values, outputs, rows);
  return values;
}

/** A model that gives every class 1 would win every log loss. */
function refuseUnnormalised(model: FrozenModel, values: Float64Array, outputs: number, rows: Int32Array): void {
  for (let start = 0; start < values.length; start += outputs) {
    const sum = values.subarray(start, start + outputs).reduce((all, value) => all + value, 0);
    if (Math.abs(sum - 1) <= tolerance) continue;
    throw new EvolutionError(
      'InputInvalid',
      `${titleOf(model)} gives probabilities for row ${rows[start / outputs]! + 1} that sum to ${sum}, not 1`,
      { ...where, fix: 'let the graph end in a softmax, or divide each row by its sum' },
    );
  }
}

function firstLine(error: unknown): string {
  return messageOf(error).split('\n')[0]!;
}
