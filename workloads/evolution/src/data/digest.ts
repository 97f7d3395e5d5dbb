// Whether a file is the one that was meant.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { EvolutionError } from '../errors.ts';

/** @throws EvolutionError DataDamaged naming the field of the digest */
export async function checkDigest(path: string, sha256: string, field: string): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  const actual = hash.digest('hex');
  if (actual === sha256) return;
  throw new EvolutionError('DataDamaged', `the file's SHA-256 is ${actual}, not ${sha256}`, { field });
}
