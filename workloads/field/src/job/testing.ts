// Small jobs and folders for tests.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FieldJob, fieldJob, parseStored } from '@quintet/crds';
import { onTestFinished } from 'vitest';
import { type Problem, resolve } from './problem.ts';

type SpecChanges = Record<string, unknown>;

/** A grid of 4 × 4 that focuses in a box of 21 × 11 × 13 points, with changes to members of its spec. */
export function smallJob(changes: SpecChanges = {}): FieldJob {
  return parseStored(fieldJob, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'FieldJob',
    metadata: { name: 'small' },
    spec: {
      array: { grid: { rows: 4, columns: 4 } },
      targets: [{ name: 'focus', position: ['0mm', '0mm', '40mm'] }],
      volume: { center: ['0mm', '0mm', '40mm'], size: ['20mm', '10mm', '12mm'], spacing: '1mm' },
      output: { persistentVolumeClaim: { claimName: 'fields' } },
      ...changes,
    },
  });
}

export function smallProblem(changes: SpecChanges = {}): Problem {
  return resolve(smallJob(changes), () => {
    throw new Error('no tables here');
  });
}

/** A new folder that is removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'quintet-field-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Every file of the result proper, by path: chunks and metadata, without figures of time. */
export function resultFiles(folder: string): Map<string, string> {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter((path) => !path.startsWith('.quintet') && path !== 'summary.json')
    .sort();
  return new Map(paths.map((path) => [path, readFileSync(join(folder, path)).toString('base64')]));
}

export interface StepRun {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** What it wrote to its termination log, parsed; undefined when nothing. */
  report: Record<string, unknown> | undefined;
  lines: Record<string, unknown>[];
}

/** Runs `main STEP` as a pod does. `killAfter` milliseconds after its start it gets `signal`. */
export async function runStep(
  job: FieldJob,
  folder: string,
  step: 'plan' | 'shard' | 'finish',
  {
    index = 0,
    killAfter,
    signal = 'SIGKILL',
    env = {},
  }: { index?: number; killAfter?: number; signal?: NodeJS.Signals; env?: Record<string, string> } = {},
): Promise<StepRun> {
  const scratch = temporaryFolder();
  const resource = join(scratch, 'resource.json');
  const log = join(scratch, 'termination-log');
  writeFileSync(resource, JSON.stringify(job));
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=source', main, step], {
    env: {
      ...process.env,
      ...env,
      QUINTET_RESOURCE: resource,
      QUINTET_OUTPUT: folder,
      QUINTET_TERMINATION_LOG: log,
      JOB_COMPLETION_INDEX: String(index),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill(signal), killAfter);
  const [code, ended] = await new Promise<[number | null, NodeJS.Signals | null]>((done) => {
    child.once('close', (exit, by) => done([exit, by]));
  });
  clearTimeout(timer);
  const lines = output
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  let report: Record<string, unknown> | undefined;
  try {
    report = JSON.parse(readFileSync(log, 'utf8')) as Record<string, unknown>;
  } catch {
    report = undefined;
  }
  return { code, signal: ended, report, lines };
}
