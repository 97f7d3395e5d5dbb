// What a run leaves behind: model, schema, metrics and report, with their digests, written whole or not at all.
import { createHash } from 'node:crypto';
import type { EvolutionRunSpec } from '@quintet/crds';
import type { Note } from '../data/columns.ts';
import { type Problem, tableHashOf } from '../data/problem.ts';
import { EvolutionError } from '../errors.ts';
import { frozenNotes } from '../frozen/members.ts';
import { shown } from '../metrics/metrics.ts';
import { exportOnnx } from '../onnx/export.ts';
import { distinctFront } from '../search/nsga2.ts';
import { packModel, type StoredModel } from './model.ts';
import { fillFolder } from './outputFolder.ts';
import { renderReport } from './report.ts';
import type { RunResult } from './run.ts';

export interface RunRecord {
  readonly spec: EvolutionRunSpec;
  readonly problem: Problem;
  readonly notes: readonly Note[];
  readonly result: RunResult;
  /** Name of the table's file, where the spec does not say it. */
  readonly file?: string;
}

export interface Artifacts {
  readonly folder: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly files: readonly string[];
  /** Why there is no form for other runtimes, where there is none. */
  readonly onnx?: string;
}

/**
 * Replaces earlier results in the folder, and nothing else.
 * @throws EvolutionError OutputUnwritable; InvalidResource where something else stands
 */
export async function writeArtifacts(folder: string, record: RunRecord): Promise<Artifacts> {
  const { files, onnx } = filesOf(record);
  await fillFolder(folder, files);
  return { folder, ...sizeOf(files), ...(onnx === undefined ? {} : { onnx }) };
}

/** What is said of files wherever they are kept. */
export function sizeOf(files: ReadonlyMap<string, string | Uint8Array>): Omit<Artifacts, 'folder'> {
  return {
    bytes: [...files.values()].reduce((sum, content) => sum + Buffer.byteLength(content), 0),
    sha256: digest(files.get('model.quintet')!),
    files: [...files.keys()],
  };
}

export function artifactFiles(record: RunRecord): Map<string, string | Uint8Array> {
  return filesOf(record).files;
}

function filesOf(record: RunRecord): { files: Map<string, string | Uint8Array>; onnx: string | undefined } {
  const { result } = record;
  const onnx = onnxOf(result.model.stored);
  const files = new Map<string, string | Uint8Array>([
    ['model.quintet', packModel(result.model.stored).bytes],
    ...('bytes' in onnx ? [['model.onnx', onnx.bytes] as const] : []),
    [
      'schema.json',
      json({
        target: result.model.stored.target,
        task: result.model.stored.task,
        classes: result.model.stored.classes,
        features: result.model.stored.features,
      }),
    ],
    ['metrics.json', json({ ...metricsOf(record), ...('refused' in onnx ? { onnx: onnx.refused } : {}) })],
    ['report.html', renderReport(record)],
  ]);
  files.set('SHA256SUMS', [...files].map(([name, content]) => `${digest(content)}  ${name}\n`).join(''));
  return { files, onnx: 'refused' in onnx ? onnx.refused : undefined };
}

/** The model for other runtimes, or why it has no form there. */
function onnxOf(model: StoredModel): { bytes: Uint8Array } | { refused: string } {
  try {
    return { bytes: exportOnnx(model) };
  } catch (error) {
    if (error instanceof EvolutionError && error.reason === 'Unsupported') return { refused: error.message };
    throw error;
  }
}

/** Figures of a run; everything that a replay needs is among them. */
export function metricsOf({ problem, notes, result, file }: RunRecord): Record<string, unknown> {
  const { search, ensemble, judging } = result;
  return {
    metric: judging.metric,
    score: result.score,
    holdout: result.holdout,
    inferenceMilliseconds: result.inferenceTime,
    seconds: result.seconds,
    data: {
      ...(file !== undefined && { file }),
      hash: tableHashOf(problem),
      rows: problem.rows,
      features: problem.features.length,
    },
    seed: judging.seed,
    reason: search.reason,
    cut: search.cut,
    evaluations: {
      placed: search.placed,
      complete: search.complete.length,
      racedOut: search.racedOut,
      failed: search.failed,
      cached: search.cached,
    },
    importance: result.importance,
    ...(problem.frozen ? { frozen: frozenNotes(problem, search.cut) } : {}),
    tasks: result.cacheHits,
    failures: search.failures,
    warnings: result.warnings,
    suspects: result.suspects,
    notes,
    ensemble: ensemble?.members.map(({ individual, weight }) => ({
      weight,
      index: individual.index,
      score: shown(judging.metric, individual.score),
      ...individual.genome,
    })),
    front: distinctFront(search.complete).map(({ index, score, cost, genome }) => ({
      index,
      score: shown(judging.metric, score),
      operations: Math.exp(cost),
      ...genome,
    })),
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function digest(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
