// llama.cpp's binding keeps adapters by their path for as long as the model is loaded: a file that was replaced must come by another one to be read again.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export interface VersionPaths {
  /** The same path for the same version. */
  of: (path: string, version: string) => Promise<string>;
  close: () => Promise<void>;
}

export function versionPaths(): VersionPaths {
  let folder: Promise<string> | undefined;
  return {
    of: async (path, version) => {
      folder ??= mkdtemp(join(tmpdir(), 'quintet-adapters-'));
      const link = join(await folder, `${createHash('sha256').update(version).digest('hex')}.gguf`);
      if (!existsSync(link)) await symlink(resolve(path), link);
      return link;
    },
    close: async () => {
      if (folder) await rm(await folder, { recursive: true, force: true });
    },
  };
}
