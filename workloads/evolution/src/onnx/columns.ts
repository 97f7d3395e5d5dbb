// Raw cells to the matrix that a learner sees, with the operations of `preprocess/steps.ts` in the same order and precision.
import { missingWords } from '../data/columns.ts';
import { day, type FeatureSpec, isTime, type TimeKind, year } from '../data/features.ts';
import type { Preprocessing, Step } from '../preprocess/steps.ts';
import type { GraphWriter } from './graph.ts';

/** How text arrives that stands for a missing cell, in every case of its letters. */
const missing = [...missingWords].flatMap((word) =>
  word
    .split('')
    .reduce(
      (all, letter) => all.flatMap((start) => [...new Set([letter, letter.toUpperCase()])].map((each) => start + each)),
      [''],
    ),
);

/** @returns the name of a matrix of rows × outputs */
export function writePreprocessing(
  graph: GraphWriter,
  { steps, outputs }: Preprocessing,
  features: readonly FeatureSpec[],
): string {
  const used = new Set(outputs.flat());
  const values = steps.map((step, i) => (used.has(i) ? stepOf(graph, step, features[step.feature]!) : ''));
  const columns = outputs.map(([a, b]) => (b === undefined ? values[a]! : graph.op('Mul', [values[a]!, values[b]!])));
  return graph.op('Concat', columns, { axis: { int: 1 } });
}

function stepOf(graph: GraphWriter, step: Step, feature: FeatureSpec): string {
  const input = isTime(feature.kind) ? timeOf(graph, feature.column, feature.kind) : feature.column;
  switch (step.kind) {
    case 'Number':
      return numberOf(graph, step, input);
    case 'Missing':
      return graph.indicator(
        feature.kind === 'Category'
          ? graph.op('Equal', [codeOf(graph, input, feature), graph.number(-1)])
          : graph.op('IsNaN', [input]),
      );
    case 'Level':
      return graph.indicator(graph.op('Equal', [codeOf(graph, input, feature), graph.number(step.code)]));
    case 'Table': {
      const levels = feature.levels!.map((level, code) => [level, step.values[code] ?? step.other] as const);
      return looked(graph, input, levels, step.missing ?? Number.NaN, step.other);
    }
  }
}

/** What `timeKinds` makes of seconds since 1970, in double precision until the end. */
function timeOf(graph: GraphWriter, column: string, kind: TimeKind): string {
  const quotient = (value: string, by: number) => graph.op('Div', [value, graph.double(by)]);
  const rest = (value: string, by: number) =>
    graph.op('Sub', [value, graph.op('Mul', [graph.op('Floor', [quotient(value, by)]), graph.double(by)])]);
  const formulas: Readonly<Record<TimeKind, () => string>> = {
    Days: () => quotient(column, day),
    HourOfDay: () => quotient(rest(column, day), 3600),
    DayOfWeek: () => rest(graph.op('Add', [graph.op('Floor', [quotient(column, day)]), graph.double(4)]), 7),
    YearFraction: () => {
      const years = quotient(column, year);
      return graph.op('Sub', [years, graph.op('Floor', [years])]);
    },
  };
  return graph.once(`${kind} of ${column}`, () => graph.cast(formulas[kind](), 'float32'));
}

function numberOf(graph: GraphWriter, step: Step & { kind: 'Number' }, input: string): string {
  let x = input;
  if (step.fill !== null) x = graph.op('Where', [graph.op('IsNaN', [x]), graph.number(step.fill), x]);
  if (step.log) {
    // In single precision runtimes differ in the last place, which a small deviation makes large.
    const size = graph.op('Log', [graph.cast(graph.op('Add', [graph.op('Abs', [x]), graph.number(1)]), 'float64')]);
    x = graph.op('Mul', [graph.op('Sign', [x]), graph.cast(size, 'float32')]);
  }
  x = graph.op('Mul', [graph.op('Sub', [x, graph.number(step.shift)]), graph.number(step.factor)]);
  if (step.clip === null) return x;
  const clipped = graph.op('Min', [graph.op('Max', [x, graph.number(-step.clip)]), graph.number(step.clip)]);
  // What comparisons make of a gap differs between runtimes.
  return graph.op('Where', [graph.op('IsNaN', [x]), x, clipped]);
}

function codeOf(graph: GraphWriter, input: string, { levels = [] }: FeatureSpec): string {
  const codes = () =>
    looked(
      graph,
      input,
      levels.map((level, code) => [level, code] as const),
      -1,
      -2,
    );
  return graph.once(`code of ${input}`, codes);
}

function looked(
  graph: GraphWriter,
  input: string,
  levels: readonly (readonly [string, number])[],
  gap: number,
  other: number,
): string {
  const entries = new Map([...levels, ...missing.map((word) => [word, gap] as const)]);
  return graph.op(
    'LabelEncoder',
    [input],
    {
      keys_strings: { strings: [...entries.keys()] },
      values_floats: { floats: [...entries.values()] },
      default_float: { float: other },
    },
    'ai.onnx.ml',
  );
}
