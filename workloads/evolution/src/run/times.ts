// Whether a table looks as if its rows followed each other in time, where nobody has said how they are to be parted.
import type { EvolutionRunSpec } from '@quintet/crds';
import type { Problem } from '../data/problem.ts';

/** Of a table with one time, known in every row: a random split judges what was by what came after. */
export function timeWarnings({ features }: Problem, { validation }: EvolutionRunSpec): string[] {
  if (validation.split !== undefined) return [];
  const [time, ...others] = features.filter(({ kind }) => kind === 'Days');
  if (!time || others.length > 0 || time.values!.some(Number.isNaN)) return [];
  return [
    `rows have a time, ${time.column}, and are parted by chance: where earlier ones are to predict later ones, set validation.split: Time and validation.timeColumn: ${time.column}`,
  ];
}
