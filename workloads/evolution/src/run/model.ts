// The model that a run ends with: an ensemble of pipelines, the schema of its inputs, and what its training data looked like.
import { createHash } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { type Cell, type Feature, type FeatureSpec, featuresOfRows } from '../data/features.ts';
import type { Task } from '../data/problem.ts';
import { EvolutionError } from '../errors.ts';
import { packed, runnable, unpacked, unpackPipeline } from '../evaluate/model.ts';
import type { Metric } from '../metrics/metrics.ts';
import { startOf } from '../text.ts';
import { type Drift, describeFeatures, driftOf, type FeatureStatistics } from './drift.ts';

export interface StoredModel {
  readonly format: 'quintet-model/1';
  readonly task: Task;
  readonly target: string;
  readonly classes: readonly string[];
  readonly outputs: number;
  readonly metric: Metric;
  readonly features: readonly FeatureSpec[];
  readonly statistics: readonly FeatureStatistics[];
  /** Weighted members; each is the mean of its pipelines. */
  readonly members: readonly {
    readonly learner: string;
    readonly weight: number;
    readonly pipelines: readonly string[];
  }[];
}

/** Rows as the model sees them. */
export interface Reading {
  readonly features: readonly Feature[];
  /** Cells that were not what their column held in training, and columns that some rows lack; they count as missing. At most 100. */
  readonly problems: readonly string[];
}

export interface Predictions extends Reading {
  /** Rows × outputs. */
  readonly values: Float64Array;
}

export interface Model {
  readonly stored: StoredModel;
  /**
   * @param before Rows that went before these, for the numbers in problems
   * @throws EvolutionError InputInvalid when a column of the schema is in no row
   */
  read: (rows: readonly Readonly<Record<string, Cell>>[], before?: number) => Reading;
  /** Of rows as `read` takes them. */
  predict: (rows: readonly Readonly<Record<string, Cell>>[], before?: number) => Promise<Predictions>;
  predictFeatures: (features: readonly Feature[], rows: Int32Array) => Promise<Float64Array>;
  /** How far the rows are from those of training, worst first. */
  drift: (features: readonly Feature[]) => Drift[];
  close: () => void;
}

const mostProblems = 100;

export function packModel(model: StoredModel): { bytes: Uint8Array; sha256: string } {
  // With a checksum of what it holds: LightGBM ends the process over trees that are damaged, or predicts something else.
  const bytes = zstdCompressSync(JSON.stringify(model, packed), { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
  return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** @throws EvolutionError ModelDamaged when the bytes are no model, or not the expected one */
export function openModel(bytes: Uint8Array, sha256?: string): Model {
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== undefined && actual !== sha256) {
    throw new EvolutionError('ModelDamaged', `the model's SHA-256 is ${actual}, not ${sha256}`);
  }
  let stored: StoredModel;
  try {
    stored = JSON.parse(zstdDecompressSync(bytes, { maxOutputLength: 1 << 30 }).toString(), unpacked) as StoredModel;
  } catch (cause) {
    throw new EvolutionError('ModelDamaged', 'the file is no model of Quintet, or damaged', {}, cause);
  }
  if (stored.format !== 'quintet-model/1') throw new EvolutionError('ModelDamaged', 'the file is no model of Quintet');
  // One after another, and forgotten: what is damaged is told now.
  for (const { pipelines } of stored.members) for (const each of pipelines) unpackPipeline(Buffer.from(each, 'base64'));
  return modelOf(stored);
}

export function modelOf(stored: StoredModel): Model {
  const members = stored.members.map(({ weight, pipelines }) => ({
    weight,
    pipelines: pipelines.map((pipeline) => runnable(pipeline, stored)),
  }));
  const predictFeatures = async (features: readonly Feature[], rows: Int32Array): Promise<Float64Array> => {
    const values = new Float64Array(rows.length * stored.outputs);
    for (const { weight, pipelines } of members) {
      for (const pipeline of pipelines) {
        const part = await pipeline.predict(features, rows);
        for (let i = 0; i < values.length; i++) values[i]! += (weight / pipelines.length) * part[i]!;
      }
    }
    return values;
  };
  const read: Model['read'] = (rows, before = 0) => {
    requireColumns(stored, rows);
    const problems = rowsWithout(stored, rows, before);
    const features = featuresOfRows(stored.features, rows, (row, column, text) => {
      if (problems.length < mostProblems) problems.push(`row ${before + row + 1}, column ${column}: ${text}`);
    });
    return { features, problems };
  };
  return {
    stored,
    read,
    predictFeatures,
    predict: async (rows, before) => {
      const reading = read(rows, before);
      const values = await predictFeatures(reading.features, Int32Array.from(rows.keys()));
      requireFinite(values, stored.outputs, before);
      return { ...reading, values };
    },
    drift: (features) => driftOf(stored.statistics, describeFeatures(features)),
    close: () => {
      for (const { pipelines } of members) for (const pipeline of pipelines) pipeline.close();
    },
  };
}

/** What is no number is no answer. @throws EvolutionError InputInvalid naming the row */
export function requireFinite(values: Float64Array, outputs: number, before = 0): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  const row = before + Math.floor(at / outputs) + 1;
  const fix = 'look in it for numbers far beyond those of training';
  throw new EvolutionError('InputInvalid', `row ${row} has no finite prediction`, { row, fix });
}

/** A cell that is missing says so by null: a column that some rows alone lack was most likely forgotten there. */
function rowsWithout(
  { features }: StoredModel,
  rows: readonly Readonly<Record<string, Cell>>[],
  before: number,
): string[] {
  const columns = [...new Set(features.map((feature) => feature.column))];
  const problems: string[] = [];
  for (const [i, row] of rows.entries()) {
    if (problems.length === mostProblems) break;
    const lacking = columns.filter((column) => !Object.hasOwn(row, column));
    if (lacking.length === 0) continue;
    const named = lacking.slice(0, 5).map((column) => startOf(column, 80));
    const title = lacking.length === 1 ? 'column' : 'columns';
    problems.push(`row ${before + i + 1} has no ${title} ${named.join(', ')}${lacking.length > 5 ? ' …' : ''}`);
  }
  return problems;
}

/** A column may be missing in some rows; missing in all, it was most likely renamed. */
function requireColumns({ features }: StoredModel, rows: readonly Readonly<Record<string, Cell>>[]): void {
  if (rows.length === 0) return;
  const lacking = [...new Set(features.map((feature) => feature.column))].filter(
    (column) => !rows.some((row) => column in row),
  );
  if (lacking.length > 0) {
    throw new EvolutionError(
      'InputInvalid',
      `no row has ${lacking.length === 1 ? 'the column' : 'the columns'} ${lacking.slice(0, 10).join(', ')}`,
      {
        column: lacking[0]!,
        fix: 'send every column of the schema; empty cells are null',
      },
    );
  }
}
