// The typed grammar of pipelines: which genes a genome has, what values they take, and the one way to write it down.
import { createHash } from 'node:crypto';
import type { Problem, Task } from '../data/problem.ts';
import type { LearnerName } from '../learners/index.ts';

export type Step = 'Imputation' | 'Scaling' | 'OneHot' | 'TargetEncoding' | 'Selection' | 'Interactions';

export interface Genome {
  readonly learner: LearnerName;
  readonly genes: Readonly<Record<string, number | string>>;
}

export type Gene =
  | {
      readonly name: string;
      readonly kind: 'Number';
      readonly low: number;
      readonly high: number;
      readonly log: boolean;
      readonly whole: boolean;
    }
  | { readonly name: string; readonly kind: 'Choice'; readonly values: readonly string[] };

/** What of the data and the spec shapes the grammar. */
export interface Space {
  readonly task: Task;
  readonly learners: readonly LearnerName[];
  readonly steps: readonly Step[];
  readonly rows: number;
  readonly numbers: number;
  readonly categories: number;
  readonly gaps: boolean;
  readonly outputs: number;
}

export function spaceOf(
  problem: Problem,
  learners: readonly LearnerName[],
  steps: readonly Step[],
  outputs: number,
): Space {
  const numeric = problem.features.filter((feature) => feature.values);
  const usable = learners.filter((learner) => learner !== 'NaiveBayes' || problem.task !== 'Regression');
  return {
    task: problem.task,
    learners: usable,
    steps,
    rows: problem.rows,
    numbers: numeric.length,
    categories: problem.features.length - numeric.length,
    gaps: numeric.some((feature) => feature.values!.some(Number.isNaN)),
    outputs,
  };
}

const mostDartTrees = 300;
/** Leaves of all trees together; a forest of 500 trees of 512 leaves has more, and is as good with fewer. */
const mostLeavesOfAll = 100_000;

const number = (name: string, low: number, high: number, how: 'log' | 'linear' | 'whole' | 'logWhole'): Gene => ({
  name,
  kind: 'Number',
  low,
  high,
  log: how === 'log' || how === 'logWhole',
  whole: how === 'whole' || how === 'logWhole',
});
const choice = (name: string, ...values: string[]): Gene => ({ name, kind: 'Choice', values });

/** Genes of a learner's pipelines, preprocessing first. */
export function genesOf(learner: LearnerName, space: Space): Gene[] {
  return [...preprocessingGenes(learner, space), ...learnerGenes(learner, space)];
}

function isTree(learner: LearnerName): boolean {
  return learner === 'GradientBoosting' || learner === 'RandomForest' || learner === 'ExtraTrees';
}

function preprocessingGenes(learner: LearnerName, space: Space): Gene[] {
  const has = (step: Step) => space.steps.includes(step);
  const genes: Gene[] = [];
  // Trees understand gaps and care for no scale.
  if (!isTree(learner)) {
    if (space.gaps && has('Imputation'))
      genes.push(choice('impute', 'Median', 'Mean'), choice('indicate', 'Yes', 'No'));
    if (space.numbers > 0 && has('Scaling')) genes.push(choice('scale', 'Standard', 'Robust', 'Log'));
  }
  if (space.categories > 0) {
    const encodings = [
      ...(has('OneHot') ? ['OneHot'] : []),
      ...(has('TargetEncoding') ? ['Target'] : []),
      ...(isTree(learner) ? ['Ordinal'] : []),
    ];
    genes.push(choice('encode', ...(encodings.length > 0 ? encodings : ['Ordinal'])));
    if (has('TargetEncoding')) genes.push(number('levelSmoothing', 1, 100, 'log'));
  }
  if (space.numbers + space.categories > 4 && has('Selection')) genes.push(number('select', 0.2, 1, 'linear'));
  if (space.numbers > 1 && has('Interactions')) genes.push(number('interactions', 0, 12, 'whole'));
  return genes;
}

function learnerGenes(learner: LearnerName, space: Space): Gene[] {
  // Many classes multiply the trees; large data can use more leaves.
  const mostTrees = space.outputs > 3 ? 500 : 2000;
  const mostLeaf = Math.max(5, Math.min(200, Math.floor(space.rows / 20)));
  const bins = choice('maxBin', '255', '63');
  switch (learner) {
    case 'GradientBoosting':
      return [
        choice('boosting', 'Plain', 'Extra', 'Dart', ...(space.numbers > 0 ? ['Linear'] : [])),
        number('trees', 16, mostTrees, 'logWhole'),
        number('learningRate', 0.005, 0.5, 'log'),
        number('leaves', 3, 128, 'logWhole'),
        number('minLeaf', 1, mostLeaf, 'logWhole'),
        number('featureShare', 0.2, 1, 'linear'),
        number('rowShare', 0.4, 1, 'linear'),
        number('l2', 0.001, 100, 'log'),
        bins,
      ];
    case 'RandomForest':
    case 'ExtraTrees':
      return [
        number('trees', 32, 500, 'logWhole'),
        number('leaves', 16, 1024, 'logWhole'),
        number('minLeaf', 1, Math.min(50, mostLeaf), 'logWhole'),
        number('featureShare', 0.1, 1, 'linear'),
        number('rowShare', 0.4, 0.95, 'linear'),
        bins,
      ];
    case 'Linear':
      return [number('penalty', 1e-6, 1, 'log'), number('l1Ratio', 0, 1, 'linear')];
    case 'NearestNeighbors':
      return [
        number('k', 1, Math.max(2, Math.min(100, Math.floor(space.rows / 4))), 'logWhole'),
        choice('byDistance', 'Yes', 'No'),
        choice('power', '2', '1'),
      ];
    case 'NaiveBayes':
      return [number('smoothing', 1e-9, 0.1, 'log')];
    case 'NeuralNetwork':
      return [
        number('width', 8, 128, 'logWhole'),
        number('depth', 1, 2, 'whole'),
        number('learningRate', 0.0003, 0.03, 'log'),
        number('epochs', 8, 120, 'logWhole'),
        number('decay', 1e-6, 0.3, 'log'),
      ];
  }
}

/** The genome with every gene of its grammar, in its range, rounded to four digits, and nothing else. */
export function canonical(genome: Genome, space: Space): Genome {
  const genes: Record<string, number | string> = {};
  for (const gene of genesOf(genome.learner, space)) {
    const value = genome.genes[gene.name];
    if (gene.kind === 'Choice')
      genes[gene.name] = gene.values.includes(String(value)) ? String(value) : gene.values[0]!;
    else genes[gene.name] = inRange(gene, Number(value ?? gene.low));
  }
  bound(genes);
  // The smoothing of an encoding that is not used says nothing.
  if (genes['encode'] === 'Ordinal') delete genes['levelSmoothing'];
  return { learner: genome.learner, genes };
}

/** Trees whose training would outlast all others': DART fits its old trees anew for each new one, and many large trees learn by heart. */
function bound(genes: Record<string, number | string>): void {
  const { trees, leaves, boosting } = genes;
  if (typeof trees !== 'number' || typeof leaves !== 'number') return;
  if (boosting === 'Dart') genes['trees'] = Math.min(trees, mostDartTrees);
  else genes['leaves'] = Math.min(leaves, Math.max(8, Math.floor(mostLeavesOfAll / trees)));
}

/** Equal pipelines have equal keys. */
export function keyOf(genome: Genome): string {
  const genes = Object.keys(genome.genes)
    .sort()
    .map((name) => [name, genome.genes[name]]);
  return createHash('sha256')
    .update(JSON.stringify([genome.learner, genes]))
    .digest('hex')
    .slice(0, 24);
}

/** Short text of a genome, for people. */
export function describe({ learner, genes }: Genome): string {
  return `${learner}(${Object.entries(genes)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')})`;
}

export function inRange(gene: Gene & { kind: 'Number' }, value: number): number {
  const within = Math.min(gene.high, Math.max(gene.low, Number.isNaN(value) ? gene.low : value));
  return gene.whole ? Math.round(within) : Number(within.toPrecision(4));
}
