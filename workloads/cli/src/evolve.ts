// `quintet evolve` and `predict`: AutoML on this machine.
import { parse } from 'node:path';
import { EvolutionError, evolve, isError, type LocalResult, predict, type RunProgress } from '@quintet/evolution';
import { searchOf } from './evolveSpec.ts';
import { guarded } from './guarded.ts';
import { type Write, writeFileWhole, writeTo } from './output.ts';
import { columns } from './table.ts';

export interface EvolveFlags {
  spec?: string;
  target?: string;
  task?: 'Binary' | 'Multiclass' | 'Regression';
  metric?: string;
  budget?: string;
  out: string;
  seed?: number;
  workers?: number;
  cache?: string;
  frozen?: string[];
  json?: boolean;
}

/** @returns the exit code. */
export function evolveCommand(file: string, flags: EvolveFlags): Promise<number> {
  return guarded(async (signal) => {
    const { out, workers, cache, frozen = [] } = flags;
    const { target, task, spec } = searchOf(flags);
    const show = progressLine(file);
    const suspect = once((suspects: LocalResult['suspects']) => {
      for (const { text } of suspects) console.error(`${file}: suspect: ${text}`);
    });
    const result = await inFlags(flags, () =>
      evolve({
        file,
        target,
        output: out,
        signal,
        onProgress: (progress) => {
          suspect(progress.suspects);
          show(progress);
        },
        ...(task && { task }),
        ...(workers !== undefined && { workers }),
        ...(cache !== undefined && { cache }),
        frozen: frozen.map((path) => ({ name: parse(path).name, file: path })),
        spec,
      }),
    );
    if (process.stderr.isTTY) process.stderr.write('\n');
    suspect(result.suspects);
    for (const { column, row, text } of result.notes)
      console.error(`${file}${row === undefined ? '' : `:${row}`}: column ${column}: ${text}`);
    if (!result.ensemble)
      console.error(
        'no pipeline had room in the model: it says the same for every row; use fewer rows, or other learners',
      );
    for (const warning of result.warnings) console.error(warning);
    if (result.artifacts?.onnx !== undefined) console.error(`no model.onnx: ${result.artifacts.onnx}`);
    console.log(flags.json ? JSON.stringify(figuresOf(result)) : tableOf(result));
  });
}

/** Where others write a spec, flags say the same: what is wrong is said in their terms. */
const flagOf: Readonly<Record<string, keyof EvolveFlags>> = {
  'spec.dataset.target': 'target',
  'spec.dataset.task': 'task',
  'spec.objective.metric': 'metric',
  'spec.budget.time': 'budget',
  'spec.output': 'out',
  'spec.search.frozen': 'frozen',
};

async function inFlags<T>(flags: EvolveFlags, work: () => Promise<T>): Promise<T> {
  // What stands in the file of --spec is called as it is there.
  const said = Object.entries(flagOf).filter(([, flag]) => flags.spec === undefined || flags[flag] !== undefined);
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof EvolutionError)) throw error;
    for (const [field, flag] of said) {
      if (error.where.field === field) error.where.field = `--${flag}`;
      error.message = error.message.replaceAll(field, `--${flag}`);
    }
    throw error;
  }
}

function figuresOf({ judging, score, holdout, ensemble, search, seconds, suspects, artifacts }: LocalResult) {
  return {
    metric: judging.metric,
    score,
    holdout,
    pipelines: ensemble?.members.length ?? 0,
    tried: { complete: search.complete.length, racedOut: search.racedOut, failed: search.failed },
    seconds,
    suspects: suspects.map(({ text }) => text),
    folder: artifacts?.folder,
    sha256: artifacts?.sha256,
  };
}

function tableOf({ judging: { metric }, score, holdout, ensemble, seconds, artifacts }: LocalResult): string {
  const pipelines = ensemble?.members.length ?? 0;
  const better = isError(metric) ? 'less' : 'more';
  const rows: [string, string][] = [
    [metric, `${figure(score)}, on rows never seen ${figure(holdout)} (${better} is better)`],
    ['model', ['no pipeline', 'one pipeline'][pipelines] ?? `${pipelines} pipelines mixed`],
    ['time', `${seconds.toFixed(0)} s`],
    ['files', `${artifacts?.folder}: ${artifacts?.files.join(', ')}`],
  ];
  return columns(rows).join('\n');
}

/** @returns the exit code. Predictions go to standard output, or to a file. */
export function predictCommand(model: string, file: string, flags: { out?: string }): Promise<number> {
  return guarded(async (signal) => {
    const rowsTo = (write: Write) =>
      predict({
        model,
        file,
        write: (line) => {
          signal.throwIfAborted();
          return write(`${line}\n`);
        },
      });
    const summary =
      flags.out === undefined
        ? await rowsTo(writeTo(process.stdout))
        : await writeFileWhole(flags.out, [model, file], rowsTo);
    for (const problem of summary.problems) console.error(`${file}: ${problem}`);
    if (summary.drifted.length > 0) console.error(`moved away from training: ${summary.drifted.join(', ')}`);
    console.error(`${summary.rows} ${summary.rows === 1 ? 'row' : 'rows'} predicted`);
  });
}

/** A line that redraws itself on a terminal; anywhere else one every five seconds. Before it the file is read, which is only told of one that takes long. */
function progressLine(file: string): (progress: RunProgress) => void {
  const { isTTY } = process.stderr;
  let last = Number.NEGATIVE_INFINITY;
  const reading = setTimeout(() => console.error(`reading ${file}`), 2000).unref();
  return ({ phase, placed, failed, share, score, secondsLeft }) => {
    clearTimeout(reading);
    const now = performance.now();
    if (now - last < (isTTY ? 200 : 5000)) return;
    last = now;
    const line = `${Math.round(share * 100)}%  ${phase}, ${placed} pipelines${failed > 0 ? `, ${failed} failed` : ''}, best ${figure(score)}, ${Math.ceil(secondsLeft)} s left`;
    process.stderr.write(isTTY ? `\r${line}\u001b[K` : `${line}\n`);
  };
}

/** Told as soon as it is known, and not again. */
function once<T>(tell: (value: T) => void): (value: T) => void {
  let told = false;
  return (value) => {
    if (!told) tell(value);
    told = true;
  };
}

function figure(value: number | undefined): string {
  return value === undefined ? 'not known' : value.toFixed(4);
}
