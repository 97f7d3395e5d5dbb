// Models that somebody else has trained: ONNX files that join the ensemble as they are. Nothing is bred from them, and nothing fitted.
import { createHash } from 'node:crypto';
import { EvolutionError } from '../errors.ts';
import type { LearnerName } from '../learners/index.ts';
import type { Genome } from '../search/genome.ts';

export interface FrozenModel {
  readonly name: string;
  /** Of the bytes. */
  readonly sha256: string;
  readonly bytes: Uint8Array;
}

/** Bytes of a file; the stored model holds it whole. */
export const largestFrozen = 64 << 20;

/** Bytes of all of them: a stored model is one text, and a text has an end. */
const largestTogether = 256 << 20;

/** As in tables and reports. A plain string: the grammar of the search has no such learner. */
const learner: string = 'Frozen';

export function frozenModel(name: string, bytes: Uint8Array): FrozenModel {
  // A Buffer has ways of its own to be written as JSON.
  return { name, sha256: createHash('sha256').update(bytes).digest('hex'), bytes: new Uint8Array(bytes) };
}

/** @throws EvolutionError DataTooLarge naming the model */
export function refuseLarge(models: readonly FrozenModel[]): void {
  const field = 'spec.search.frozen';
  let together = 0;
  for (const { name, bytes } of models) {
    if (bytes.length > largestFrozen)
      throw new EvolutionError(
        'DataTooLarge',
        `the frozen model ${name} has ${bytes.length} bytes, more than ${largestFrozen}`,
        { field },
      );
    together += bytes.length;
    if (together > largestTogether)
      throw new EvolutionError(
        'DataTooLarge',
        `the frozen models up to ${name} have ${together} bytes together, more than ${largestTogether}`,
        { field, fix: 'use fewer of them' },
      );
  }
}

/** Stands where the genes of a bred pipeline do. */
export function genomeOf({ name, sha256 }: FrozenModel): Genome {
  return { learner: learner as LearnerName, genes: { name, sha256 } };
}

export function isFrozen(genome: Genome): boolean {
  return genome.learner === learner;
}

/** Multiply-adds of one row, by the one measure that is the same on every machine: numbers in the file. */
export function operationsOf({ bytes }: FrozenModel): number {
  return bytes.length / 4;
}
