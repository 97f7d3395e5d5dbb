// Invalidation by tag, on every replica and tier. A tag has an epoch; an entry remembers the epochs it was made under and is stale once one moved on.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import type { RedisConnection } from '../redis.ts';

export interface EpochOptions {
  /** Redis makes replicas agree; without it epochs are this process's own. */
  redis?: RedisConnection;
  namespace: string;
  /** File that keeps epochs over a restart, for a disk tier without Redis. */
  file?: string;
  /** Milliseconds between looks at Redis, beside its notifications; 1 000 when left out. */
  pollInterval?: number;
  /** Milliseconds without contact to Redis after which entries with strict tags are no longer trusted; 3 000 when left out. */
  trustFor?: number;
  /** Tags remembered; beyond it everything tagged is dropped and counting starts anew. 100 000 when left out. */
  maxTags?: number;
  now?: () => number;
}

export interface Epochs {
  /** Epochs of the tags now; undefined when it is not known whether they moved, so that nothing may be kept under them. */
  current: (tags: readonly string[]) => Readonly<Record<string, string>> | undefined;
  /** Whether an entry of these epochs may be served. An entry without tags always may. */
  isFresh: (epochs: Readonly<Record<string, string>>) => boolean;
  /**
   * Which memory of Redis this knows, as a name that a Redis without the epochs is not given again; undefined before it was read. For tiers
   * that outlive Redis: what was made under epochs that nobody remembers is not to be found. Without Redis, this process' own.
   */
  generation: () => string | undefined;
  /** Makes every entry with one of the tags stale: here at once, on other replicas with the next message or poll. */
  invalidate: (tags: readonly string[]) => Promise<void>;
  /** Looks at Redis now. */
  sync: () => Promise<void>;
  close: () => Promise<void>;
}

/** The epoch of all tags together; part of every entry that has tags. */
const all = '*';
/** Kept among the epochs, so that they are lost, and told anew, together. No tag: those begin with a letter and a colon. */
const generationField = 'generation';

/** Tags with this prefix do not need contact to Redis: what others invalidated meanwhile is obeyed once it is back. */
export const lenientPrefix = 'u:';
const isStrict = (tag: string) => tag !== all && !tag.startsWith(lenientPrefix);

export function epochs(options: EpochOptions): Epochs {
  const { redis, namespace, file, pollInterval = 1000, trustFor = 3000, maxTags = 100_000 } = options;
  const now = options.now ?? Date.now;
  const hash = `q:epochs:${namespace}`;
  const revision = `q:epochs:${namespace}:revision`;
  const channel = `q:epochs:${namespace}:changed`;
  const kept = file === undefined ? { known: {}, pending: {} } : load(file);
  let known = new Map(Object.entries(kept.known));
  /** Set here while Redis was away; written there before anything is read from it. */
  const pending = new Map(Object.entries(kept.pending));
  /** Revision that `known` is of, and the highest that was seen or written. A lower one tells of a Redis that lost its memory. */
  let seen: number | undefined;
  let highest = 0;
  const own = randomUUID();
  let contactAt = redis ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  let syncing: Promise<void> | undefined;

  const trusted = () => now() - contactAt <= trustFor;
  const epochOf = (tag: string) => known.get(tag) ?? '0';

  const flush = async () => {
    if (!redis || pending.size === 0) return true;
    const sent = [...pending];
    const written = await redis.callOr(async (client) => {
      const steps = client.multi();
      if (pending.has(all)) steps.del(hash);
      const results = await steps.hset(hash, Object.fromEntries(sent)).incr(revision).publish(channel, '1').exec();
      return Number(results?.at(-2)?.[1] ?? 0);
    }, 0);
    if (written === 0) return false;
    highest = Math.max(highest, written);
    for (const [tag, epoch] of sent) if (pending.get(tag) === epoch) pending.delete(tag);
    return true;
  };

  const pull = async () => {
    if (!redis || !(await flush())) return;
    const read = await redis.callOr((client) => client.get(revision), undefined);
    if (read === undefined) return;
    const latest = Number(read ?? 0);
    if (latest !== seen || latest < highest) {
      const stored = await redis.callOr(async (client) => {
        const results = await client.multi().hsetnx(hash, generationField, randomUUID()).hgetall(hash).exec();
        return results?.at(-1)?.[1] as Record<string, string> | undefined;
      }, undefined);
      if (stored === undefined) return;
      merge(new Map(Object.entries(stored)), latest < highest);
      seen = latest;
      highest = latest;
      persist();
      if (!(await flush())) return;
    }
    contactAt = now();
  };

  /** Takes over what Redis holds. One that lost or rolled back its memory is told what we know: nothing stale may come back to life. */
  const merge = (stored: Map<string, string>, rolledBack: boolean) => {
    const startedAnew = stored.has(all) && stored.get(all) !== known.get(all) && !rolledBack;
    for (const [tag, epoch] of known) {
      if (startedAnew || pending.has(tag)) continue;
      if (rolledBack || !stored.has(tag)) pending.set(tag, epoch);
    }
    for (const [tag, epoch] of pending) stored.set(tag, epoch);
    known = stored;
  };
  const sync = () => (syncing ??= pull().finally(() => (syncing = undefined)));

  let writing: Promise<void> = Promise.resolve();
  const persist = () => {
    if (file !== undefined) writing = writing.then(() => save(file, known, pending)).catch(() => undefined);
  };

  const timer = redis && setInterval(() => void sync(), pollInterval);
  timer?.unref();
  const subscriber = redis?.duplicate();
  subscriber?.on('ready', () => void subscriber.subscribe(channel).catch(() => undefined));
  subscriber?.on('message', () => void sync());
  redis?.onConnect(() => void sync());

  return {
    current: (tags) => {
      if (tags.length === 0) return {};
      if (!trusted() && tags.some(isStrict)) return undefined;
      return Object.fromEntries([all, ...tags].map((tag) => [tag, epochOf(tag)]));
    },
    isFresh: (entry) => {
      const tags = Object.entries(entry);
      return tags.every(([tag, epoch]) => epochOf(tag) === epoch && (!isStrict(tag) || trusted()));
    },
    generation: () => {
      if (!redis) return own;
      return contactAt === Number.NEGATIVE_INFINITY ? undefined : known.get(generationField);
    },
    invalidate: async (tags) => {
      if (known.size + tags.length > maxTags) {
        known.clear();
        pending.clear();
        tags = [all];
      }
      for (const tag of tags) {
        const epoch = randomUUID();
        known.set(tag, epoch);
        if (redis) pending.set(tag, epoch);
      }
      persist();
      await Promise.all([flush(), writing]);
    },
    sync,
    close: async () => {
      clearInterval(timer);
      subscriber?.disconnect();
      await writing;
    },
  };
}

interface Kept {
  known: Record<string, string>;
  pending: Record<string, string>;
}

function load(file: string): Kept {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Kept;
  } catch (error) {
    // No file: no entry was ever made stale. A damaged one could hide that, so everything tagged becomes stale.
    const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return { known: absent ? {} : { [all]: randomUUID() }, pending: {} };
  }
}

async function save(file: string, known: Map<string, string>, pending: Map<string, string>): Promise<void> {
  const kept: Kept = { known: Object.fromEntries(known), pending: Object.fromEntries(pending) };
  await writeFile(`${file}.tmp`, JSON.stringify(kept), { mode: 0o600 });
  await rename(`${file}.tmp`, file);
}
