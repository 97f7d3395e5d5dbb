// The thread that makes one segment of several: it ends with its work, and what only it held is free again.
import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { basename } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { rebuild } from './rebuild.ts';
import { Segment, type SharedSegment } from './segment.ts';

export interface RebuildTask {
  readonly parts: readonly SharedSegment[];
  readonly tables: number;
}

/** Searches go first where processors are few: Linux gives each thread a priority of its own. */
function stepBack(): void {
  try {
    setPriority(Number(basename(readlinkSync('/proc/thread-self'))), 10);
  } catch {
    // Elsewhere it runs like any other.
  }
}

stepBack();
const { parts, tables } = workerData as RebuildTask;
const steps = rebuild(
  parts.map((part) => Segment.of(part)),
  tables,
);
let step = steps.next();
while (!step.done) step = steps.next();
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
parentPort?.postMessage(step.value.shared);
