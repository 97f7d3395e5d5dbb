// Second tier: files on a local volume. Bounded by bytes and entries, checksummed, written atomically, there again after a restart.
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type FrameOptions, frame } from './frame.ts';
import type { CacheKey } from './key.ts';
import { costAwareOrder } from './order.ts';
import type { Tier } from './tier.ts';

export interface DiskTierOptions extends FrameOptions {
  /** Made when missing. It belongs to one process: replicas need a folder each. */
  directory: string;
  /** Bytes of all files; 1 GiB when left out. */
  maxBytes?: number;
  /** 100 000 when left out. */
  maxEntries?: number;
  now?: () => number;
}

/** A file name: SHA-256 of the key; folders by its first two digits keep directories small. */
const nameOf = (key: CacheKey) => createHash('sha256').update(key).digest('hex');
const entryName = /^[0-9a-f]{64}$/;

/** Opens the folder and takes over the entries that are in it. Throws only when the folder cannot be made. */
export async function diskTier(options: DiskTierOptions): Promise<Tier> {
  const { directory, maxBytes = 1 << 30, maxEntries = 100_000 } = options;
  const now = options.now ?? Date.now;
  const { seal, open } = frame(options);
  const pathOf = (name: string) => join(directory, name.slice(0, 2), name);
  const order = costAwareOrder<string>();
  let evictions = 0;
  await mkdir(directory, { recursive: true });
  for (const found of await scan(directory)) order.set(found.name, found.size, found.cost);

  const drop = async (name: string) => {
    order.delete(name);
    await rm(pathOf(name), { force: true }).catch(() => undefined);
  };
  const makeRoom = async () => {
    while (order.bytes > maxBytes || order.size > maxEntries) {
      const victim = order.least();
      if (victim === undefined) return;
      evictions += 1;
      await drop(victim);
    }
  };
  await makeRoom();

  return {
    name: 'disk',
    get: async (key) => {
      const name = nameOf(key);
      if (!order.has(name)) return undefined;
      const bytes = await readFile(pathOf(name)).catch(() => undefined);
      const entry = bytes && (await open(key, bytes));
      if (!entry || entry.expiresAt <= now()) {
        await drop(name);
        return undefined;
      }
      order.touch(name, entry.cost);
      return entry;
    },
    set: async (key, entry) => {
      const bytes = await seal(key, entry);
      if (!bytes || bytes.length > maxBytes / 4) return;
      const name = nameOf(key);
      const path = pathOf(name);
      const temporary = `${path}.${randomUUID()}.tmp`;
      try {
        await mkdir(join(directory, name.slice(0, 2)), { recursive: true });
        // Not synced to the disk: after a power failure the checksum tells a torn file, and it is a miss.
        await writeFile(temporary, bytes, { mode: 0o600 });
        await rename(temporary, path);
      } catch {
        await rm(temporary, { force: true }).catch(() => undefined);
        return;
      }
      order.set(name, bytes.length, entry.cost);
      await makeRoom();
    },
    delete: (key) => drop(nameOf(key)),
    clear: async () => {
      for (const name of order.names()) await drop(name);
    },
    usage: () => ({ entries: order.size, bytes: order.bytes, evictions }),
    close: () => undefined,
  };
}

/** Entries of an earlier run; what is left of interrupted writes is removed. Frequency starts again, as after long idleness. */
async function scan(directory: string): Promise<{ name: string; size: number; cost: number }[]> {
  const found: { name: string; size: number; cost: number; at: number }[] = [];
  for (const folder of await readdir(directory)) {
    if (!/^[0-9a-f]{2}$/.test(folder)) continue;
    for (const name of await readdir(join(directory, folder)).catch(() => [])) {
      const path = join(directory, folder, name);
      if (name.endsWith('.tmp')) await rm(path, { force: true });
      if (!entryName.test(name)) continue;
      const info = await stat(path).catch(() => undefined);
      if (info) found.push({ name, size: info.size, cost: 1, at: info.mtimeMs });
    }
  }
  return found.sort((a, b) => a.at - b.at);
}
