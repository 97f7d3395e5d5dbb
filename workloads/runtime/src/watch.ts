// Notices that mounted files changed. Kubernetes swaps a symlink, so what a path resolves to counts, not the events of one inode.
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface WatchOptions {
  /** Milliseconds between looks; 2 000 when left out. */
  interval?: number;
  /** Called when looking or `onChange` failed; the watch goes on. */
  onError?: (error: unknown) => void;
}

export interface Watch {
  /** Looks now; resolves when a change, if any, was handled. */
  check: () => Promise<void>;
  close: () => void;
}

/** Calls `onChange` each time the content of a file, or of the files right inside a directory, differs from the last look. */
export async function watchPath(
  path: string,
  onChange: () => void | Promise<void>,
  options: WatchOptions = {},
): Promise<Watch> {
  let last = await fingerprint(path);
  let running: Promise<void> | undefined;
  const look = async () => {
    try {
      const now = await fingerprint(path);
      if (now === last) return;
      await onChange();
      last = now;
    } catch (error) {
      options.onError?.(error);
    }
  };
  const check = () => (running ??= look().finally(() => (running = undefined)));
  const timer = setInterval(() => void check(), options.interval ?? 2000);
  timer.unref();
  return { check, close: () => clearInterval(timer) };
}

/** Files of a directory by name; hidden entries (Kubernetes' own `..data`) and folders are left out. Each is at most `limit` bytes. */
export async function readFiles(directory: string, limit = 1 << 20): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const name of (await readdir(directory)).sort()) {
    if (name.startsWith('.')) continue;
    const path = join(directory, name);
    const info = await stat(path).catch(() => undefined);
    if (!info?.isFile()) continue;
    if (info.size > limit) throw new Error(`${path} is larger than ${limit} bytes`);
    files.set(name, await readFile(path, 'utf8'));
  }
  return files;
}

async function fingerprint(path: string): Promise<string> {
  const info = await stat(path).catch(() => undefined);
  if (!info) return 'absent';
  const hash = createHash('sha256');
  if (info.isFile()) hash.update(await readFile(path));
  else for (const [name, content] of await readFiles(path)) hash.update(`${name}\0${content.length}\0${content}`);
  return hash.digest('hex');
}
