// The first generation: pipelines that are known to be good on most tables, cheap ones first.
import { canonical, type Genome, keyOf, type Space } from './genome.ts';

export function defaultGenomes(space: Space): Genome[] {
  const small = space.rows < 2000;
  const shared = {
    encode: 'OneHot',
    levelSmoothing: 10,
    select: 1,
    interactions: 0,
    impute: 'Median',
    indicate: 'Yes',
    scale: 'Standard',
    maxBin: '255',
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
      genes: { ...shared, width: 48, depth: 2, learningRate: 0.003, epochs: small ? 60 : 20, decay: 0.01 },
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
  return genomes
    .filter((genome) => space.learners.includes(genome.learner))
    .map((genome) => canonical(genome, space))
    .filter((genome) => !seen.has(keyOf(genome)) && seen.add(keyOf(genome)));
}
