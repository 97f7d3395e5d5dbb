// Where segments are rebuilt: small ones in slices between requests, large ones on a thread of their own.
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { rebuild } from './rebuild.ts';
import { Segment, type SharedSegment } from './segment.ts';
import type { RebuildTask } from './worker.ts';

/** Items that a thread is started for. */
const large = 100_000;

export async function rebuilt(parts: readonly Segment[], tables: number): Promise<Segment> {
  const items = parts.reduce((sum, { count }) => sum + count, 0);
  return items < large ? await inSlices(rebuild(parts, tables)) : await onThread(parts, tables);
}

/** Runs steps of a few milliseconds, and lets others have their turn in between. */
export async function inSlices<T>(steps: Generator<void, T>): Promise<T> {
  let since = performance.now();
  while (true) {
    const { done, value } = steps.next();
    if (done) return value;
    if (performance.now() - since < 4) continue;
    await nextTurn();
    since = performance.now();
  }
}

async function onThread(parts: readonly Segment[], tables: number): Promise<Segment> {
  // Sources run as they are: then the thread's file ends as this one does.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./worker.${extension}`, import.meta.url), {
    workerData: { parts: parts.map(({ shared }) => shared), tables } satisfies RebuildTask,
    name: 'matcher-index',
    ...(extension === 'ts' && { execArgv: ['--conditions=source'] }),
  });
  const ended = new AbortController();
  worker.once('exit', () => ended.abort(new Error('the thread that builds the index ended before its work')));
  try {
    const [built] = (await once(worker, 'message', { signal: ended.signal })) as [SharedSegment];
    return Segment.of(built);
  } finally {
    await worker.terminate();
  }
}
