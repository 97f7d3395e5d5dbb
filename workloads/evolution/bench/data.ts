// The data sets, made once by scikit-learn and read by all from the same CSV.
import { Peer } from './python.ts';

export interface Data {
  readonly name: string;
  readonly task: 'Binary' | 'Multiclass' | 'Regression';
  readonly split: number;
  /** Of the teaching part; `train` and `test` are files. */
  readonly rows: number;
  readonly columns: number;
  readonly train: string;
  readonly test: string;
}

export interface Wanted {
  readonly folder: string;
  readonly splits: number;
  /** Before the split; of sets that are made, not of those that are known. */
  readonly rows: number;
  /** All where left out. */
  readonly names?: readonly string[] | undefined;
}

/** @throws Error naming a set that is not known */
export async function dataSets({ folder, splits, rows, names }: Wanted): Promise<Data[]> {
  const python = new Peer('data');
  try {
    return (await python.ask('data', [folder, splits, rows, names ?? null])) as Data[];
  } finally {
    python.close();
  }
}
