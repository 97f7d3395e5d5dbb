// A lock between processes and pods that share a folder: a file whose owner renews it. Who stops renewing has lost it.
import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';

export interface LockOptions {
  /** Milliseconds without renewal after which the lock counts as abandoned; 15 000 when left out. */
  staleAfter?: number;
  /** Milliseconds between looks while waiting; 200 when left out. */
  poll?: number;
  /** Called at each look while another holds the lock. */
  onWait?: () => void | Promise<void>;
  /** Ends the waiting. */
  signal?: AbortSignal;
}

/** Runs `work` while holding the lock. `held.aborted` tells that the lock was lost, say because this process was frozen for long. */
export async function withLock<T>(
  path: string,
  work: (held: AbortSignal) => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  const { staleAfter = 15_000 } = options;
  const owner = randomUUID();
  await acquire(path, owner, options);
  const lost = new AbortController();
  const renew = setInterval(
    () => void renewal(path, owner).then((still) => still || lost.abort(new Error(`lost the lock ${path}`))),
    staleAfter / 5,
  );
  renew.unref();
  try {
    return await work(lost.signal);
  } finally {
    clearInterval(renew);
    if ((await ownerOf(path)) === owner) await rm(path, { force: true });
  }
}

async function acquire(
  path: string,
  owner: string,
  { staleAfter = 15_000, poll = 200, onWait, signal }: LockOptions,
): Promise<void> {
  for (;;) {
    signal?.throwIfAborted();
    if (await create(path, owner)) return;
    const info = await stat(path).catch(() => undefined);
    if (!info) continue;
    // The clock of the folder's file system against this one's: on a node both are the same.
    if (Date.now() - info.mtimeMs > staleAfter) {
      await evict(path, info.mtimeMs);
      continue;
    }
    await onWait?.();
    await new Promise((resolve) => setTimeout(resolve, poll));
  }
}

async function create(path: string, owner: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o644);
    await file.writeFile(owner);
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Takes an abandoned lock away. Of several who try, a rename lets one succeed; if a new owner came in between, it is put back. */
async function evict(path: string, mtimeMs: number): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  const moved = await stat(aside).catch(() => undefined);
  if (moved && moved.mtimeMs !== mtimeMs) await rename(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

async function renewal(path: string, owner: string): Promise<boolean> {
  if ((await ownerOf(path)) !== owner) return false;
  const now = new Date();
  await utimes(path, now, now).catch(() => undefined);
  return true;
}

async function ownerOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}
