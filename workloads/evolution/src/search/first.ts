// The pipelines that are tried before any is bred, and which of them are compared among themselves.
import { defaultGenomes } from './defaults.ts';
import { canonical, type Genome, keyOf, type Space } from './genome.ts';
import { Wave } from './wave.ts';

/** Few, so that a short budget is not spent on first looks. */
const waveSize = 6;

/** What was found elsewhere, as far as this grammar has it, then what is known to be good; each once. */
export function firstGeneration(space: Space, first: readonly Genome[] = []): Genome[] {
  const told = first
    .filter(({ learner }) => space.learners.includes(learner))
    .map((genome) => canonical(genome, space));
  return [...new Map([...told, ...defaultGenomes(space)].map((genome) => [keyOf(genome), genome])).values()];
}

/** Those that are not the first of their learner, by index: the cheaper ones need not wait for the dearer. */
export function firstWaves(genomes: readonly Genome[]): Map<number, Wave> {
  const learners = new Set<string>();
  const members = genomes.flatMap(({ learner }, i) => {
    const known = learners.has(learner);
    learners.add(learner);
    return known ? [i] : [];
  });
  const waves = Array.from(
    { length: Math.ceil(members.length / waveSize) },
    (_, k) => new Wave(Math.min(waveSize, members.length - k * waveSize), members[k * waveSize]),
  );
  return new Map(members.map((i, place) => [i, waves[Math.floor(place / waveSize)]!]));
}
