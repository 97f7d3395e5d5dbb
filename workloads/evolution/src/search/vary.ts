// New genomes from old: crossover gene by gene, mutation gene by gene, and a change of learner now and then.
import type { Random } from '../random.ts';
import { canonical, type Gene, type Genome, genesOf, type Space } from './genome.ts';

export interface Rates {
  readonly crossover: number;
  /** For each gene. */
  readonly mutation: number;
}

/** Genes of either parent where both have them; the learner and its own genes come from the first. */
export function crossed(a: Genome, b: Genome, space: Space, random: Random): Genome {
  const genes: Record<string, number | string> = {};
  for (const [name, value] of Object.entries(a.genes)) {
    const other = b.genes[name];
    genes[name] = other !== undefined && typeof other === typeof value && random.next() < 0.5 ? other : value;
  }
  return canonical({ learner: a.learner, genes }, space);
}

/** Changes at least one gene. Steps of numbers are small, middling or large, so that search is local and global at once. */
export function mutated(genome: Genome, space: Space, rate: number, random: Random): Genome {
  const grammar = genesOf(genome.learner, space);
  const certain = random.int(grammar.length);
  const reach = random.pick([0.05, 0.15, 0.4]);
  const genes: Record<string, number | string> = { ...genome.genes };
  for (const [i, gene] of grammar.entries()) {
    if (i === certain || random.next() < rate) genes[gene.name] = moved(gene, genes[gene.name], reach, random);
  }
  return canonical({ learner: genome.learner, genes }, space);
}

function moved(gene: Gene, value: number | string | undefined, reach: number, random: Random): number | string {
  if (gene.kind === 'Choice') {
    const others = gene.values.filter((each) => each !== value);
    return others.length > 0 ? random.pick(others) : gene.values[0]!;
  }
  const { low, high, log, whole } = gene;
  const place = log ? Math.log(Number(value) / low) / Math.log(high / low) : (Number(value) - low) / (high - low);
  // Reflected at the ends, where clipping would heap up values.
  let next = (place + reach * random.normal()) % 2;
  if (next < 0) next = -next;
  if (next > 1) next = 2 - next;
  const result = log ? low * (high / low) ** next : low + next * (high - low);
  if (whole && Math.round(result) === value) return value + (random.next() < 0.5 ? 1 : -1);
  return result;
}
