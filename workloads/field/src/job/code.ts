// Which code this is: what it computes from the same problem may differ from what other code did.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

let known: string | undefined;

/** Over the sources of the engine as they run here, its kernels among them. */
export function codeDigest(): string {
  known ??= digestOf(fileURLToPath(new URL('..', import.meta.url)), import.meta.url.endsWith('.ts') ? '.ts' : '.js');
  return known;
}

function digestOf(folder: string, extension: string): string {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(extension) && !/\.(?:test|d)\.ts$|\.test\.js$/.test(path))
    .sort();
  const hash = createHash('sha256');
  for (const path of paths) hash.update(`${path}\n`).update(readFileSync(join(folder, path)));
  return hash.digest('hex');
}
