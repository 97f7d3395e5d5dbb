// One cache of model files per node: any number of pods share it, a file is fetched once, its digest is checked, a damaged one is refused.
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isQuintetError, QuintetError } from '../errors.ts';
import { counter, gauge, type Registry } from '../metrics.ts';
import { evict, intact, readJson, record, touch, writeAtomically } from './blobs.ts';
import { withLock } from './lock.ts';
import type { ModelSource } from './source.ts';

export interface ModelCacheOptions {
  /** Folder that the node's pods share (hostPath or a claim); it may be on tmpfs. */
  directory: string;
  /** Bytes for files that nobody used lately; the least recently used go first. No bound when left out. */
  maxBytes?: number;
  /** Milliseconds after which the holder of a fetch counts as dead; 15 000 when left out. */
  staleAfter?: number;
  /** Attempts after a broken transfer, each going on where the last ended; 3 when left out. */
  retries?: number;
  registry?: Registry;
}

export interface FetchOptions {
  /** Digest that the file must have, in hexadecimal. Without it the digest is computed and kept, so that later damage is seen. */
  sha256?: string;
  /** Called at most every 250 ms, also while another pod fetches. Bytes. */
  onProgress?: (progress: { done: number; total: number; by: 'this' | 'another' }) => void;
  signal?: AbortSignal;
}

export interface Model {
  readonly path: string;
  readonly sha256: string;
  readonly size: number;
  /** Whether it was there already. */
  readonly cached: boolean;
}

export interface ModelCache {
  /** Throws `MODEL_MISSING` or `MODEL_DAMAGED`. The file must not be written to. */
  fetch: (source: ModelSource, options?: FetchOptions) => Promise<Model>;
  /** Reads the file once, so that the node's page cache has it when the engine maps it. Returns the bytes read. */
  prewarm: (model: Model, signal?: AbortSignal) => Promise<number>;
}

/** What is known of a source: which digest its present revision has. */
interface Reference {
  revision: string;
  sha256: string;
  size: number;
}

const progressInterval = 250;

/**
 * Layout: `blobs/<sha256>` the files, `refs/<hash of uri>.json` what a source held, `partial/` what is under way. A file in `blobs` is whole and
 * was checked when it came; its size and digest are checked again by whoever finds that its time of change is not the one recorded.
 */
export function modelCache(options: ModelCacheOptions): ModelCache {
  const { directory, staleAfter = 15_000, retries = 3 } = options;
  const at = (...parts: string[]) => join(directory, ...parts);
  const bytes =
    options.registry &&
    counter(options.registry, 'quintet_model_fetched_bytes_total', 'Bytes of models fetched.', ['uri']);
  const done =
    options.registry &&
    gauge(options.registry, 'quintet_model_progress', 'Share of a model that is there, 0 to 1.', ['uri']);
  const damaged =
    options.registry &&
    counter(options.registry, 'quintet_model_damaged_total', 'Model files refused for their digest.', ['uri']);

  const fetch: ModelCache['fetch'] = async (source, given = {}) => {
    for (const folder of ['blobs', 'refs', 'partial']) await mkdir(at(folder), { recursive: true });
    const id = createHash('sha256').update(source.uri).digest('hex');
    const described = await source.describe(given.signal).catch(orOffline(given.sha256));
    const present = () => find(source.uri, id, described?.revision, given.sha256);
    const report = throttled((progress) => {
      done?.set({ uri: source.uri }, progress.total === 0 ? 1 : progress.done / progress.total);
      given.onProgress?.(progress);
    });
    const already = await present();
    if (already) return { ...already, cached: true };
    if (!described)
      throw new QuintetError('MODEL_MISSING', {
        uri: source.uri,
        reason: 'the source does not answer, and it is not in the cache',
      });

    const partial = at('partial', id);
    const fetched = await withLock(
      at('partial', `${id}.lock`),
      async (held) => {
        // Another pod may have fetched it while this one waited for the lock.
        const meanwhile = await present();
        if (meanwhile) return { ...meanwhile, cached: true };
        await room(described.size);
        const signal = given.signal ? AbortSignal.any([given.signal, held]) : held;
        const sha256 = await download(source, partial, described, signal, report);
        if (given.sha256 !== undefined && sha256 !== given.sha256.toLowerCase()) {
          await rm(partial, { force: true });
          damaged?.inc({ uri: source.uri });
          throw new QuintetError('MODEL_DAMAGED', {
            uri: source.uri,
            actual: sha256,
            expected: given.sha256,
            field: 'sha256',
          });
        }
        held.throwIfAborted();
        const path = at('blobs', sha256);
        await rename(partial, path);
        await record(path, sha256);
        const reference: Reference = { revision: described.revision, sha256, size: described.size };
        await writeAtomically(at('refs', `${id}.json`), JSON.stringify(reference));
        return { path, sha256, size: described.size, cached: false };
      },
      {
        staleAfter,
        onWait: async () =>
          report({
            done: (await stat(partial).catch(() => undefined))?.size ?? 0,
            total: described.size,
            by: 'another',
          }),
        ...(given.signal ? { signal: given.signal } : {}),
      },
    );
    report({ done: fetched.size, total: fetched.size, by: fetched.cached ? 'another' : 'this' }, true);
    return fetched;
  };

  /** A whole, undamaged file for this revision (or digest), or undefined. */
  const find = async (
    uri: string,
    id: string,
    revision: string | undefined,
    sha256: string | undefined,
  ): Promise<Omit<Model, 'cached'> | undefined> => {
    const reference = await readJson<Reference>(at('refs', `${id}.json`));
    const matching =
      reference && (revision === undefined || reference.revision === revision) ? reference.sha256 : undefined;
    const digest = sha256?.toLowerCase() ?? matching;
    if (digest === undefined) return undefined;
    const path = at('blobs', digest);
    const info = await stat(path).catch(() => undefined);
    if (!info) return undefined;
    if (!(await intact(path, digest, info))) {
      await rm(path, { force: true });
      damaged?.inc({ uri });
      return undefined;
    }
    await touch(path);
    return { path, sha256: digest, size: info.size };
  };

  const download = async (
    source: ModelSource,
    partial: string,
    described: { size: number; revision: string },
    signal: AbortSignal,
    report: Report,
  ) => {
    // What an interrupted fetch left is of use only for the same revision.
    const mark = `${partial}.revision`;
    if ((await readFile(mark, 'utf8').catch(() => '')) !== described.revision) await rm(partial, { force: true });
    await writeFile(mark, described.revision);
    for (let attempt = 0; ; attempt++) {
      const hash = createHash('sha256');
      const start = await hashFile(partial, hash, described.size);
      try {
        await append(source, partial, start, hash, signal, (added) => {
          bytes?.inc({ uri: source.uri }, added.chunk);
          report({ done: start + added.sum, total: described.size, by: 'this' });
        });
        const { size } = await stat(partial);
        if (size === described.size) {
          await rm(mark, { force: true });
          return hash.digest('hex');
        }
        if (size > described.size) await rm(partial, { force: true });
        throw new Error(`the transfer ended after ${size} of ${described.size} bytes`);
      } catch (error) {
        if (signal.aborted) throw calledOff(signal, error);
        if (attempt >= retries || isQuintetError(error)) {
          throw isQuintetError(error)
            ? error
            : new QuintetError(
                'MODEL_MISSING',
                { uri: source.uri, reason: (error as Error).message },
                { cause: error },
              );
        }
        await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** attempt));
      }
    }
  };

  const room = async (needed: number) => {
    if (options.maxBytes !== undefined) await evict(at('blobs'), options.maxBytes - needed);
    const { bavail, bsize } = await statfs(directory);
    if (bavail * bsize < needed) {
      throw new QuintetError('MODEL_MISSING', {
        uri: directory,
        reason: `${needed} bytes are needed and ${bavail * bsize} are free on the node`,
      });
    }
  };

  return {
    fetch,
    prewarm: async (model, signal) => {
      let read = 0;
      for await (const chunk of createReadStream(model.path, { highWaterMark: 1 << 20, ...(signal ? { signal } : {}) }))
        read += (chunk as Buffer).length;
      return read;
    },
  };
}

type Progress = { done: number; total: number; by: 'this' | 'another' };
type Report = (progress: Progress, always?: boolean) => void;

function throttled(send: (progress: Progress) => void): Report {
  let last = Number.NEGATIVE_INFINITY;
  return (progress, always = false) => {
    if (!always && performance.now() - last < progressInterval) return;
    last = performance.now();
    send(progress);
  };
}

/** With a digest the cache alone can answer when the source is away. */
function orOffline(sha256: string | undefined) {
  return (error: unknown) => {
    if (sha256 === undefined) throw error;
    return undefined;
  };
}

function calledOff(signal: AbortSignal, cause: unknown): Error {
  return new QuintetError('CANCELLED', {}, { cause: signal.reason ?? cause });
}

async function append(
  source: ModelSource,
  path: string,
  start: number,
  hash: Hash,
  signal: AbortSignal,
  seen: (added: { chunk: number; sum: number }) => void,
) {
  let sum = 0;
  const count = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      hash.update(chunk);
      sum += chunk.length;
      seen({ chunk: chunk.length, sum });
      next(null, chunk);
    },
  });
  await pipeline(await source.read(start, signal), count, createWriteStream(path, { flags: 'a', mode: 0o644 }), {
    signal,
  });
}

/** Feeds what is there into the hash and returns its length; a file longer than `limit` is of something else and removed. */
async function hashFile(path: string, hash: Hash, limit: number): Promise<number> {
  const info = await stat(path).catch(() => undefined);
  if (!info) return 0;
  if (info.size >= limit) {
    await rm(path, { force: true });
    return 0;
  }
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return info.size;
}
