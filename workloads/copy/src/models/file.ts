// The file of a model: on a mounted claim, in a mounted image, or fetched from S3 once for all pods of the node; its digest checked before anything is loaded.
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { modelCache, placeOf, QuintetError, type Registry, type SourceSpec } from '@quintet/runtime';

export interface ModelFile {
  path: string;
  /** SHA-256 when it was given or is in an image, whose files of one size may bear one time; else size and time of change. */
  digest: string;
  size: number;
}

export interface FileOptions {
  source: SourceSpec;
  sha256?: string | undefined;
  /** Where the spec has the source, such as `model.source`: Secrets and images are mounted by it. */
  at: string;
  /** Folder for what is fetched. */
  directory: string;
  registry: Registry;
  signal: AbortSignal;
  onProgress: (message: string) => void;
  /** Where claims are mounted. */
  claims?: string;
  /** Where images are mounted. */
  images?: string;
  /** Where a folder is named: the files in it that are the model, the first that is there. */
  inFolder?: readonly string[];
}

/** Throws `MODEL_MISSING` or `MODEL_DAMAGED`. */
export async function openModelFile(options: FileOptions): Promise<ModelFile> {
  const { source, sha256, at, claims, images } = options;
  const place = placeOf(source, at, { ...(claims && { claims }), ...(images && { images }) });
  if ('path' in place) return onVolume(place.path, sha256, options, place.isImage || sha256 !== undefined);
  const from = place.object(place.key);
  try {
    const model = await modelCache({ directory: options.directory, registry: options.registry }).fetch(from, {
      ...(sha256 && { sha256 }),
      signal: options.signal,
      onProgress: ({ done, total }) => options.onProgress(`fetching ${from.uri}: ${share(done, total)}`),
    });
    return { path: model.path, digest: model.sha256, size: model.size };
  } finally {
    from.close?.();
  }
}

async function onVolume(
  path: string,
  sha256: string | undefined,
  options: FileOptions,
  byContent: boolean,
): Promise<ModelFile> {
  const uri = path;
  const info = await stat(path).catch((error: unknown) => {
    const { code = 'unreadable' } = error as NodeJS.ErrnoException;
    throw new QuintetError('MODEL_MISSING', {
      uri,
      reason: code === 'ENOENT' ? 'there is no such file (ENOENT)' : code,
    });
  });
  const inside = info.isDirectory() && options.inFolder?.find((name) => existsSync(join(path, name)));
  if (inside) return onVolume(join(path, inside), sha256, options, byContent);
  if (info.isDirectory() && options.inFolder)
    throw new QuintetError('MODEL_MISSING', { uri, reason: `there is none of ${options.inFolder.join(', ')} in it` });
  if (!info.isFile()) throw new QuintetError('MODEL_MISSING', { uri, reason: 'it is not a file' });
  if (!byContent) return { path, digest: `${info.size}-${info.mtimeMs}`, size: info.size };
  const hash = createHash('sha256');
  let done = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal: options.signal })) {
    hash.update(chunk as Buffer);
    done += (chunk as Buffer).length;
    options.onProgress(`checking the digest of ${uri}: ${share(done, info.size)}`);
  }
  const actual = hash.digest('hex');
  if (sha256 !== undefined && actual !== sha256.toLowerCase())
    throw new QuintetError('MODEL_DAMAGED', { uri, actual, expected: sha256 });
  return { path, digest: actual, size: info.size };
}

function share(done: number, total: number): string {
  return total === 0 ? 'all' : `${Math.floor((100 * done) / total)} %`;
}
