// What `quintet evolve` searches by: the spec of an EvolutionRun in a file, as a cluster would take it, and flags, which go before it.
import { type EvolutionRunSpec, InvalidResourceError } from '@quintet/crds';
import { parseUserFile } from '@quintet/crds/userfile';
import type { EvolveFlags } from './evolve.ts';
import { UsageError } from './guarded.ts';
import { readTextFile } from './textFile.ts';

export interface Search {
  readonly target: string;
  readonly task: EvolutionRunSpec['dataset']['task'] | undefined;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** @throws UsageError where nothing names a target; InvalidResourceError where the file holds no EvolutionRun, or a wrong one */
export function searchOf(flags: EvolveFlags): Search {
  const { metric, seed } = flags;
  const given = flags.spec === undefined ? undefined : specIn(flags.spec);
  const target = flags.target ?? given?.dataset.target;
  if (target === undefined) throw new UsageError('--target: name the column to predict, or give --spec');
  const task = flags.task ?? given?.dataset.task;
  const budget = { ...given?.budget, time: flags.budget ?? given?.budget.time ?? '2m' };
  const flagged = {
    ...(metric !== undefined && { objective: { ...given?.objective, metric } }),
    ...(seed !== undefined && { search: { ...given?.search, seed } }),
  };
  if (!given) return { target, task, spec: { budget, ...flagged } };
  // Where the data is and what it looks like, the command's argument says.
  const { source: _source, format: _format, ...dataset } = given.dataset;
  return { target, task, spec: { ...given, budget, ...flagged, dataset: { ...dataset, target, task } } };
}

function specIn(file: string): EvolutionRunSpec {
  const text = readTextFile(file, 16, 'resource');
  // Before its fields are held against another kind's.
  const kinds = [...text.matchAll(/^(?:kind|\s*"kind"):\s*["']?(\w+)/gm)].map(([, kind]) => kind!);
  if (text.includes('quintet.dev/') && kinds.length > 0 && !kinds.includes('EvolutionRun'))
    throw new InvalidResourceError([{ path: ['kind'], message: `is ${kinds[0]}: an EvolutionRun is needed`, file }]);
  const runs = parseUserFile(text, file).filter(({ kind }) => kind === 'EvolutionRun');
  const [first] = runs;
  if (first?.kind === 'EvolutionRun' && runs.length === 1) return first.spec;
  const message = first ? `holds ${runs.length} EvolutionRuns: one is needed` : 'holds no EvolutionRun';
  throw new InvalidResourceError([{ path: [], message, file }]);
}
