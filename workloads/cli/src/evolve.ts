// `quintet evolve` and `predict`: AutoML on this machine.
import { parse } from 'node:path';
import { evolve, predict, type RunProgress } from '@quintet/evolution';
import { guarded } from './guarded.ts';
import { type Write, writeFileWhole, writeTo } from './output.ts';
import { columns } from './table.ts';

export interface EvolveFlags {
  target: string;
  task?: 'Binary' | 'Multiclass' | 'Regression';
  metric?: string;
  budget: string;
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
    const { target, task, metric, budget, out, seed, workers, cache, frozen = [] } = flags;
    const show = progressLine();
    const { score, holdout, notes, artifacts, seconds, ensemble, spec } = await evolve({
      file,
      target,
      output: out,
      signal,
      onProgress: show,
      ...(task && { task }),
      ...(workers !== undefined && { workers }),
      ...(cache !== undefined && { cache }),
      frozen: frozen.map((path) => ({ name: parse(path).name, file: path })),
      spec: {
        budget: { time: budget },
        ...(metric !== undefined && { objective: { metric } }),
        ...(seed !== undefined && { search: { seed } }),
      },
    });
    if (process.stderr.isTTY) process.stderr.write('\n');
    // Stopped early, the best so far is still a model.
    if (signal.aborted) console.error('stopped: the best that was found until then is kept');
    for (const { column, row, text } of notes)
      console.error(`${file}${row === undefined ? '' : `:${row}`}: column ${column}: ${text}`);
    const { metric: judged } = spec.objective;
    if (flags.json) {
      console.log(
        JSON.stringify({
          metric: judged,
          score,
          holdout,
          seconds,
          folder: artifacts?.folder,
          sha256: artifacts?.sha256,
        }),
      );
      return;
    }
    const rows: [string, string][] = [
      [judged ?? 'score', `${figure(score)}, on rows never seen ${figure(holdout)}`],
      ['model', ensemble ? `${ensemble.members.length} pipelines mixed` : 'one pipeline'],
      ['time', `${seconds.toFixed(0)} s`],
      ['files', `${artifacts?.folder}: ${artifacts?.files.join(', ')}`],
    ];
    console.log(columns(rows).join('\n'));
  });
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
    console.error(`${summary.rows} rows predicted`);
  });
}

/** A line that redraws itself on a terminal; anywhere else one every five seconds. */
function progressLine(): (progress: RunProgress) => void {
  const { isTTY } = process.stderr;
  let last = Number.NEGATIVE_INFINITY;
  return ({ phase, placed, failed, share, score, secondsLeft }) => {
    const now = performance.now();
    if (now - last < (isTTY ? 200 : 5000)) return;
    last = now;
    const line = `${Math.round(share * 100)}%  ${phase}, ${placed} pipelines${failed > 0 ? `, ${failed} failed` : ''}, best ${figure(score)}, ${Math.ceil(secondsLeft)} s left`;
    process.stderr.write(isTTY ? `\r${line}\u001b[K` : `${line}\n`);
  };
}

function figure(value: number | undefined): string {
  return value === undefined ? 'not known' : value.toFixed(4);
}
