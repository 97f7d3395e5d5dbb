// About how long a pipeline trains on one fold: what is cheap goes first, and of two that promise the same the cheaper one is tried.
import type { Genome, Space } from './genome.ts';

/** Milliseconds on one core of 2026; only proportions matter, and they are rough. */
export function trainingTime({ learner, genes }: Genome, space: Space): number {
  const { rows, outputs } = space;
  const of = (name: string, otherwise = 1): number => Number(genes[name] ?? otherwise);
  const columns = Math.max(1, (space.numbers + space.categories) * of('select') + of('interactions', 0));
  switch (learner) {
    case 'GradientBoosting':
    case 'RandomForest':
    case 'ExtraTrees': {
      const { boosting } = genes;
      // DART drops old trees for each new one; a linear tree solves equations in its leaves.
      const more = boosting === 'Dart' ? 1 + of('trees') / 50 : boosting === 'Linear' ? 2 : 1;
      // Rows are counted into bins once a level or so; splits are sought among the bins of every leaf.
      const tree = 5e-6 * rows + 1.5e-5 * of('maxBin', 255) * of('leaves');
      return more * of('trees') * outputs * columns * tree;
    }
    case 'Linear':
      // A few of Newton's steps, or hundreds along gradients.
      return (outputs === 1 && columns <= 150 ? 2e-4 : of('l1Ratio', 0) > 0 ? 1.5e-3 : 5e-4) * rows * columns * outputs;
    case 'NearestNeighbors':
      return 2e-7 * rows * Math.min(rows, 20_000) * columns;
    case 'NaiveBayes':
      return 1e-5 * rows * columns;
    case 'NeuralNetwork': {
      const width = of('width');
      const weights = width * (columns + (of('depth') - 1) * width + outputs);
      return 8e-6 * Math.min(600_000, rows * of('epochs')) * weights;
    }
  }
}
