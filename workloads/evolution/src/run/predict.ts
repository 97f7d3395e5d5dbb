// `quintet predict model.quintet rows.csv`: predictions for a file, a batch at a time, so that files of any size fit.
import { readFile } from 'node:fs/promises';
import type { Cell } from '../data/features.ts';
import { formatOf, readCells } from '../data/table.ts';
import { randomOf } from '../random.ts';
import { clearlyMoved, fewestRows } from './drift.ts';
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
  /** Features that have moved away from training, worst first, as far as rows from all over the file tell. */
  readonly drifted: readonly string[];
}

const batchRows = 2000;
/** Rows that tell whether features have moved: of each row as likely one as any other. */
const rowsLooked = 2000;

/** @throws EvolutionError ModelDamaged, InputInvalid, or DataInvalid naming the line */
export async function predict({ model: modelFile, file, write, sha256 }: PredictOptions): Promise<PredictSummary> {
  const bytes = await readFile(modelFile).catch((error: Error) => {
    throw Object.assign(error, { path: modelFile });
  });
  const model = openModel(bytes, sha256);
  const random = randomOf('predict');
  const looked: Record<string, Cell>[] = [];
  const look = (row: Record<string, Cell>, before: number): void => {
    const place = before < rowsLooked ? before : random.int(before + 1);
    if (place < rowsLooked) looked[place] = row;
  };
  const problems: string[] = [];
  let names: string[] = [];
  let rows = 0;
  let read: Record<string, Cell>[] = [];
  const predicted = async (batch: readonly Record<string, Cell>[]): Promise<void> => {
    const found = await model.predict(batch, rows);
    problems.push(...found.problems.slice(0, 100 - problems.length));
    // Not before a first row is predicted: of a file that is none, or another's, nothing is said but why.
    if (rows === 0) await write(headerOf(model));
    for (const [i, row] of batch.entries()) {
      look(row, rows + i);
      await write(lineOf(model, found.values, i));
    }
    rows += batch.length;
  };
  /** Between two chunks of the file. */
  const flush = async (): Promise<void> => {
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
    if (rows === 0) await write(headerOf(model));
    return { rows, problems, drifted: rows < fewestRows ? [] : moved(model, looked) };
  } finally {
    model.close();
  }
}

function moved(model: Model, rows: readonly Record<string, Cell>[]): string[] {
  const drift = model.drift(model.read(rows).features);
  return drift.filter(({ index }) => index > clearlyMoved).map(({ feature }) => feature);
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
