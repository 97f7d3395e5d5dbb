// Files of the model cache: what was checked, when each was last used, and which go first.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

interface Checked {
  size: number;
  mtimeMs: number;
}

/** Compares with what was recorded when the file was checked; anything else is hashed again. */
export async function intact(path: string, digest: string, info: { size: number; mtimeMs: number }): Promise<boolean> {
  const recorded = await readJson<Checked>(`${path}.checked`);
  if (recorded?.size === info.size && recorded.mtimeMs === info.mtimeMs) return true;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  if (hash.digest('hex') !== digest) return false;
  await record(path, digest);
  return true;
}

export async function record(path: string, sha256: string): Promise<void> {
  const { size, mtimeMs } = await stat(path);
  await writeAtomically(`${path}.checked`, JSON.stringify({ size, mtimeMs, sha256 }));
}

/** Marks a use by the record's time of change; the model's own must stay, as it is what was recorded. */
export async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(`${path}.checked`, now, now).catch(() => undefined);
}

/** Removes the least recently used files until `limit` bytes remain, sparing those used in the last minute: another pod may be opening them. */
export async function evict(folder: string, limit: number): Promise<void> {
  const files: { path: string; size: number; used: number }[] = [];
  for (const name of await readdir(folder)) {
    if (name.includes('.')) continue;
    const path = join(folder, name);
    const [info, checked] = await Promise.all([
      stat(path).catch(() => undefined),
      stat(`${path}.checked`).catch(() => undefined),
    ]);
    if (info) files.push({ path, size: info.size, used: (checked ?? info).mtimeMs });
  }
  let sum = files.reduce((total, file) => total + file.size, 0);
  for (const file of files.sort((a, b) => a.used - b.used)) {
    if (sum <= limit || Date.now() - file.used < 60_000) return;
    await rm(file.path, { force: true });
    await rm(`${file.path}.checked`, { force: true });
    sum -= file.size;
  }
}

export async function writeAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.${performance.now()}.tmp`;
  await writeFile(temporary, text);
  await rename(temporary, path);
}

export async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}
