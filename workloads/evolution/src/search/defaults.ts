// The first generation: pipelines that are known to be good on most tables. What is cheap goes first (Wang et al. 2021, FLAML), so that a short budget
// has seen every kind of learner that it can afford.
import { trainingTime } from './cost.ts';
import { canonical, type Genome, keyOf, type Space } from './genome.ts';

/** Rows that a network is shown before it has learned what it can, about. */
const networkVisits = 40_000;
/** Milliseconds of training on one fold that all others wait for. */
const mostOfFirst = 2000;

export function defaultGenomes(space: Space): Genome[] {
  const small = space.rows < 2000;
  // With fewer rows most of the time would go into looking for splits among bins of a few rows each.
  const maxBin = space.rows < 50_000 ? '63' : '255';
  const shared = {
    encode: 'OneHot',
    levelSmoothing: 10,
    select: 1,
    interactions: 0,
    impute: 'Median',
    indicate: 'Yes',
    scale: 'Standard',
    maxBin,
  };
  const boost = (genes: Genome['genes']): Genome => ({
    learner: 'GradientBoosting',
    genes: {
      ...shared,
      boosting: 'Plain',
      featureShare: 1,
      rowShare: 1,
      l2: 0.001,
      minLeaf: 20,
      encode: space.categories > 0 ? 'Target' : 'OneHot',
      ...genes,
    },
  });
  const genomes: Genome[] = [
    boost({ trees: 60, learningRate: 0.15, leaves: 8, minLeaf: small ? 5 : 20 }),
    boost({ trees: 100, learningRate: 0.1, leaves: 31 }),
    { learner: 'Linear', genes: { ...shared, penalty: 0.003, l1Ratio: 0 } },
    ...(space.numbers > 3 ? [boost({ trees: 80, learningRate: 0.1, leaves: 12, interactions: 8 })] : []),
    boost({
      trees: 150,
      learningRate: 0.06,
      leaves: 8,
      minLeaf: small ? 5 : 20,
      featureShare: 0.6,
      rowShare: 0.8,
      l2: 1,
    }),
    boost({
      trees: 400,
      learningRate: 0.03,
      leaves: 16,
      minLeaf: small ? 5 : 30,
      featureShare: 0.5,
      rowShare: 0.7,
      l2: 3,
      encode: 'OneHot',
    }),
    {
      learner: 'ExtraTrees',
      genes: { ...shared, trees: 100, leaves: 128, minLeaf: small ? 2 : 5, featureShare: 0.5, rowShare: 0.9 },
    },
    {
      learner: 'RandomForest',
      genes: { ...shared, trees: 100, leaves: 128, minLeaf: small ? 2 : 5, featureShare: 0.4, rowShare: 0.8 },
    },
    { learner: 'NearestNeighbors', genes: { ...shared, k: 12, byDistance: 'Yes', power: '2' } },
    {
      learner: 'NeuralNetwork',
      genes: {
        ...shared,
        width: 48,
        depth: 2,
        learningRate: 0.003,
        epochs: Math.min(60, Math.max(15, Math.round(networkVisits / space.rows))),
        decay: 0.01,
      },
    },
    { learner: 'NaiveBayes', genes: { ...shared, smoothing: 1e-6 } },
    { learner: 'Linear', genes: { ...shared, penalty: 0.01, l1Ratio: 0.9, encode: 'Target', scale: 'Log' } },
    boost({ boosting: 'Linear', trees: 120, learningRate: 0.08, leaves: 6, minLeaf: small ? 10 : 30, l2: 3 }),
    boost({
      boosting: 'Extra',
      trees: 300,
      learningRate: 0.05,
      leaves: 24,
      minLeaf: small ? 3 : 20,
      featureShare: 0.5,
      rowShare: 0.8,
    }),
    boost({
      boosting: 'Dart',
      trees: 150,
      learningRate: 0.15,
      leaves: 12,
      minLeaf: small ? 5 : 20,
      featureShare: 0.7,
      rowShare: 0.9,
    }),
  ];
  const seen = new Set<string>();
  const [first, ...others] = genomes
    .filter((genome) => space.learners.includes(genome.learner))
    .map((genome) => canonical(genome, space))
    .filter((genome) => !seen.has(keyOf(genome)) && seen.add(keyOf(genome)));
  if (!first) return [];
  const cheapest = (some: Genome[]) => some.sort((a, b) => trainingTime(a, space) - trainingTime(b, space));
  // The first is what others are compared with, and runs before them: good on most tables, and cheap. Of a large one there is to be any answer soon.
  return trainingTime(first, space) > mostOfFirst ? cheapest([first, ...others]) : [first, ...cheapest(others)];
}
