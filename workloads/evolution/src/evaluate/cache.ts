// Outcomes by what they follow from: data, split, metric, seed, genome, fold and fidelity. The same question is never worked on twice.
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import type { Evaluation, EvaluationTask, Evaluator, Judging, Outcome } from './task.ts';

export interface EvaluationCache {
  get: (key: string) => Promise<Evaluation | undefined>;
  set: (key: string, evaluation: Evaluation) => Promise<void>;
}

export function evaluationKey(judging: Judging, task: EvaluationTask): string {
  const { data, split, metric, seed } = judging;
  return createHash('sha256')
    .update(JSON.stringify([8, data, split, metric, seed, task.key, task.fold, task.fraction]))
    .digest('hex');
}

/** Asks the cache first, and joins a question that is under way. A cache that fails is passed over; one that is silent holds nothing up once it is `stopped`. */
export function withCache(
  evaluator: Evaluator,
  judging: Judging,
  cache: EvaluationCache | undefined,
  stopped: AbortSignal,
): Evaluator & { readonly hits: number; readonly asked: number } {
  const flying = new Map<string, Promise<Outcome>>();
  let hits = 0;
  let asked = 0;
  const work = async (key: string, task: EvaluationTask): Promise<Outcome> => {
    const known = cache && (await unless(stopped, cache.get(key)));
    if (stopped.aborted && !known) return { ok: false, kind: 'Stopped', reason: 'the search has ended' };
    if (known) {
      hits++;
      return { ok: true, cached: true, ...known };
    }
    const outcome = await evaluator.evaluate(task);
    if (outcome.ok) {
      const { ok: _, cached: __, ...evaluation } = outcome;
      if (cache) await unless(stopped, cache.set(key, evaluation));
    }
    return outcome;
  };
  return {
    get hits() {
      return hits;
    },
    get asked() {
      return asked;
    },
    evaluate: (task) => {
      asked++;
      const key = evaluationKey(judging, task);
      const under = flying.get(key);
      if (under) {
        hits++;
        return under;
      }
      const outcome = work(key, task).finally(() => flying.delete(key));
      flying.set(key, outcome);
      return outcome;
    },
  };
}

/** What the promise gives; undefined when it fails, or the signal comes first. */
function unless<T>(signal: AbortSignal, promise: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const give = (value?: T): void => {
      signal.removeEventListener('abort', abort);
      resolve(value);
    };
    const abort = (): void => give();
    signal.addEventListener('abort', abort);
    promise.then(give, () => give());
    if (signal.aborted) give();
  });
}

/** A folder that this user alone can write: entries are read back as they are. */
export function diskCache(folder: string, keepSeconds: number): EvaluationCache {
  const fileOf = (key: string) => join(folder, key.slice(0, 2), key);
  return {
    get: async (key) => {
      const file = fileOf(key);
      const found = await stat(file).catch(() => undefined);
      if (!found) return undefined;
      if (Date.now() - found.mtimeMs > keepSeconds * 1000) {
        await unlink(file).catch(() => undefined);
        return undefined;
      }
      return deserialize(await readFile(file)) as Evaluation;
    },
    set: async (key, evaluation) => {
      await mkdir(join(folder, key.slice(0, 2)), { recursive: true, mode: 0o700 });
      const file = fileOf(key);
      await writeFile(`${file}.${process.pid}`, serialize(evaluation), { mode: 0o600 });
      await rename(`${file}.${process.pid}`, file);
    },
  };
}
