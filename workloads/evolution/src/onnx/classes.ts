// What a model of classes answers in ONNX, as scikit-learn's exporters have it: the class, and how probable each is.
import type { GraphValue } from '@quintet/runtime/onnx';
import { byNumberOrText } from '../data/problem.ts';
import type { StoredModel } from '../run/model.ts';
import type { GraphWriter } from './graph.ts';

/** The order that every tool expects, whichever of two classes is the positive one. */
export function inOrder(classes: readonly string[]): string[] {
  return classes.toSorted(byNumberOrText);
}

/** @param predicted Rows × 1 of the positive one of two classes, or rows × classes */
export function writeClasses(
  graph: GraphWriter,
  predicted: string,
  { task, classes }: Pick<StoredModel, 'task' | 'classes'>,
): GraphValue[] {
  const isBinary = task === 'Binary';
  const isTurned = isBinary && inOrder(classes)[0] !== classes[0];
  const other = isBinary ? graph.op('Sub', [graph.number(1), predicted]) : '';
  const byColumn = { axis: { int: 1 } };
  const own = isBinary ? graph.op('Concat', [other, predicted], byColumn) : predicted;
  const ordered = isTurned ? [predicted, other] : [own];
  // Of two that are equally probable the first of the model's own order, as everywhere else.
  const best = graph.op('ArgMax', [own], { ...byColumn, keepdims: { int: 0 } });
  const words = { keys_int64s: { ints: [...classes.keys()] }, values_strings: { strings: classes } };
  return [
    { name: graph.output('LabelEncoder', [best], 'label', words, 'ai.onnx.ml'), type: 'string', shape: ['rows'] },
    {
      name: graph.output('Concat', ordered, 'probabilities', byColumn),
      type: 'float32',
      shape: ['rows', classes.length],
    },
  ];
}
