// What a change of an EvolutionRun's spec asks for: another search, another look of the coordinator at what it found, other pods, or nothing.
import type { EvolutionRunSpec } from './evolutionrun.ts';

/** Each asks for all that stands before it too. */
const consequences = ['Nothing', 'Pods', 'Result', 'Search'] as const;
type Consequence = (typeof consequences)[number];

const ofFields: Record<keyof EvolutionRunSpec, Consequence> = {
  dataset: 'Search',
  objective: 'Search',
  search: 'Search',
  validation: 'Search',
  budget: 'Search',
  earlyStopping: 'Search',
  evaluation: 'Search',
  ensemble: 'Search',
  promotion: 'Result',
  output: 'Result',
  share: 'Result',
  queue: 'Pods',
  registry: 'Pods',
  caches: 'Pods',
  retries: 'Pods',
  resources: 'Pods',
  scheduling: 'Pods',
  pod: 'Pods',
  workers: 'Nothing',
  activeDeadline: 'Nothing',
  ttlAfterFinished: 'Nothing',
  suspend: 'Nothing',
};

/** Members that ask for something else than their field. */
const ofMembers: Partial<Record<string, Readonly<Record<string, Consequence>>>> = {
  dataset: { maxSize: 'Pods' },
  evaluation: { retries: 'Pods' },
  // A run registers one model under one name.
  promotion: { model: 'Search', serving: 'Nothing' },
};

/**
 * The part of the spec a change of which asks for so much at least: `Search` is what decides what a search finds; `Result` also what the coordinator does with
 * it; `Pods` also what coordinator and workers are made of, or read as they start.
 */
export function partAsking(spec: EvolutionRunSpec, least: Consequence): object {
  const reaches = (asked: Consequence): boolean => consequences.indexOf(asked) >= consequences.indexOf(least);
  const part: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(spec)) {
    const own = ofFields[field as keyof EvolutionRunSpec];
    const members = ofMembers[field];
    if (!members) {
      if (reaches(own)) part[field] = value;
      continue;
    }
    const kept = Object.entries(value as object).filter(([member]) => reaches(members[member] ?? own));
    if (kept.length > 0) part[field] = Object.fromEntries(kept);
  }
  return part;
}
