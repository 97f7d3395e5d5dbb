// The file of a model: on a mounted claim, in a mounted image, or fetched from S3 once for all pods of the node; its digest checked before anything is loaded.
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { claimsRoot, imagesRoot, secretsRoot } from '@quintet/crds';
import { modelCache, QuintetError, type Registry, s3Source } from '@quintet/runtime';
import { z } from 'zod';

/** As the custom resource spells it. */
export const modelSource = z.looseObject({
  persistentVolumeClaim: z.object({ claimName: z.string(), path: z.string().default('') }).optional(),
  s3: z
    .looseObject({
      bucket: z.string(),
      key: z.string(),
      endpoint: z.string().optional(),
      region: z.string().optional(),
      secretRef: z.looseObject({ name: z.string() }).optional(),
    })
    .optional(),
  oci: z.looseObject({ image: z.string(), path: z.string() }).optional(),
});

export interface ModelFile {
  path: string;
  /** SHA-256 when it was given or is in an image, whose files of one size may bear one time; else size and time of change. */
  digest: string;
  size: number;
}

export interface FileOptions {
  source: z.output<typeof modelSource>;
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
  const { source, sha256, claims = claimsRoot, images = imagesRoot } = options;
  const { persistentVolumeClaim: claim, s3, oci } = source;
  if (claim) return onVolume(join(claims, claim.claimName, claim.path), sha256, options);
  if (oci) return onVolume(join(images, `${options.at}.oci`, oci.path), sha256, options, true);
  if (s3) {
    const credentials = s3.secretRef && credentialsAt(`${secretsRoot}/${options.at}.s3.secretRef`);
    const { bucket, key, endpoint, region } = s3;
    const from = s3Source({
      bucket,
      key,
      ...(endpoint && { endpoint }),
      ...(region && { region }),
      ...(credentials && { credentials }),
    });
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
  throw new QuintetError('MODEL_MISSING', {
    uri: 'without a source',
    reason: 'it needs a persistentVolumeClaim, s3 or oci',
    field: options.at,
  });
}

async function onVolume(
  path: string,
  sha256: string | undefined,
  options: FileOptions,
  byContent = sha256 !== undefined,
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

function credentialsAt(folder: string): { accessKeyId: string; secretAccessKey: string } {
  const read = (name: string) => readFileSync(`${folder}/${name}`, 'utf8').trim();
  return { accessKeyId: read('AWS_ACCESS_KEY_ID'), secretAccessKey: read('AWS_SECRET_ACCESS_KEY') };
}

function share(done: number, total: number): string {
  return total === 0 ? 'all' : `${Math.floor((100 * done) / total)} %`;
}
