// The pipelines that are tried before any is bred, and which of them are compared among themselves.
import { defaultGenomes } from './defaults.ts';
import { canonical, type Genome, keyOf, type Space } from './genome.ts';
import { Wave } from './wave.ts';

/** What another run found may be long. */
const mostInWave = 24;

/** What was found elsewhere, as far as this grammar has it, then what is known to be good; each once. */
export function firstGeneration(space: Space, first: readonly Genome[] = []): Genome[] {
  const told = first
    .filter(({ learner }) => space.learners.includes(learner))
    .map((genome) => canonical(genome, space));
  return [...new Map([...told, ...defaultGenomes(space)].map((genome) => [keyOf(genome), genome])).values()];
}

/** Those that are not the first of their learner, by index. */
export function firstWave(genomes: readonly Genome[]): Map<number, Wave> {
  const learners = new Set<string>();
  const members = genomes.slice(0, mostInWave).flatMap(({ learner }, i) => {
    const known = learners.has(learner);
    learners.add(learner);
    return known ? [i] : [];
  });
  const wave = new Wave(members.length);
  return new Map(members.map((i) => [i, wave]));
}
