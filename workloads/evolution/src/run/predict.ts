// `quintet predict model.quintet rows.csv`: predictions for a file, a batch at a time, so that files of any size fit.
import { readFile } from 'node:fs/promises';
import type { Cell } from '../data/features.ts';
import { formatOf, readCells } from '../data/table.ts';
import { type Model, openModel } from './model.ts';

export interface PredictOptions {
  readonly model: string;
  /** CSV or Parquet with the columns of the schema; others are passed over. */
  readonly file: string;
  /** Receives the header and then a line for each row; a promise is waited for. */
  readonly write: (line: string) => unknown;
  /** Digest that the model must have. */
  readonly sha256?: string;
}

export interface PredictSummary {
  readonly rows: number;
  /** Cells that were not what their column held in training. */
  readonly problems: readonly string[];
  /** Features that have moved away from training in the first rows, worst first. */
  readonly drifted: readonly string[];
}

const batchRows = 2000;
const clearlyMoved = 0.25;

/** @throws EvolutionError ModelDamaged, InputInvalid, or DataInvalid naming the line */
export async function predict({ model: modelFile, file, write, sha256 }: PredictOptions): Promise<PredictSummary> {
  const model = openModel(await readFile(modelFile), sha256);
  const problems: string[] = [];
  let drifted: string[] | undefined;
  let names: string[] = [];
  let rows = 0;
  let read: Record<string, Cell>[] = [];
  const predicted = async (batch: readonly Record<string, Cell>[]): Promise<void> => {
    const found = await model.predict(batch, rows);
    problems.push(...found.problems.slice(0, 100 - problems.length));
    drifted ??=
      batch.length < 50
        ? []
        : model
            .drift(found.features)
            .filter((each) => each.index > clearlyMoved)
            .map((each) => each.feature);
    for (let i = 0; i < batch.length; i++) await write(lineOf(model, found.values, i));
    rows += batch.length;
  };
  let begun = false;
  /** Between two chunks of the file. */
  const flush = async (): Promise<void> => {
    // Not before a first chunk was read: of a file that is none nothing is said but why.
    if (!begun) await write(headerOf(model));
    begun = true;
    for (let start = 0; start < read.length; start += batchRows) await predicted(read.slice(start, start + batchRows));
    read = [];
  };
  try {
    await readCells(
      file,
      formatOf(file),
      (header) => (names = header),
      (cells) => read.push(Object.fromEntries(names.map((name, i) => [name, cells[i]]))),
      flush,
    );
    await flush();
    return { rows, problems, drifted: drifted ?? [] };
  } finally {
    model.close();
  }
}

function headerOf({ stored }: Model): string {
  if (stored.task === 'Regression') return quoted(stored.target);
  return [stored.target, ...stored.classes.map((name) => `probability ${name}`)].map(quoted).join(',');
}

function lineOf({ stored }: Model, values: Float64Array, row: number): string {
  if (stored.task === 'Regression') return String(values[row]);
  const own =
    stored.outputs === 1
      ? [1 - values[row]!, values[row]!]
      : [...values.subarray(row * stored.outputs, (row + 1) * stored.outputs)];
  const best = own.indexOf(Math.max(...own));
  return [quoted(stored.classes[best]!), ...own.map((value) => value.toPrecision(6))].join(',');
}

function quoted(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
