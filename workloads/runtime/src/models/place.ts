// Where the files of a model that a spec names are: on a volume that the controller mounts, or in a bucket.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { claimsRoot, imagesRoot, secretsRoot } from '@quintet/crds';
import { z } from 'zod';
import { QuintetError } from '../errors.ts';
import { type ModelSource, s3Source } from './source.ts';

/** Stands in for what the controller mounts, where there is none. */
const directory = z.string().optional();

/** As the custom resource spells it. */
export const sourceSpec = z.looseObject({
  persistentVolumeClaim: z.looseObject({ claimName: z.string(), path: z.string().default(''), directory }).optional(),
  s3: z
    .looseObject({
      bucket: z.string(),
      key: z.string(),
      endpoint: z.string().optional(),
      region: z.string().optional(),
      secretRef: z.looseObject({ directory }).optional(),
    })
    .optional(),
  oci: z.looseObject({ path: z.string().default(''), directory }).optional(),
});

export type SourceSpec = z.output<typeof sourceSpec>;

/** A file or folder of a claim or an image, or a key in a bucket, which may be what its folder begins with. */
export type Place =
  | { readonly path: string; readonly isImage: boolean }
  | { readonly key: string; readonly object: (key: string) => ModelSource };

/**
 * @param at Where the spec has the source, such as `embedding.source`: Secrets and images are mounted by it.
 * @param mounts Folders that claims and images are mounted in.
 * @throws QuintetError `MODEL_MISSING` where it names none.
 */
export function placeOf(
  { persistentVolumeClaim: claim, oci, s3 }: SourceSpec,
  at: string,
  { claims = claimsRoot, images = imagesRoot }: { claims?: string; images?: string } = {},
): Place {
  if (claim) return { path: join(claim.directory ?? join(claims, claim.claimName), claim.path), isImage: false };
  if (oci) return { path: join(oci.directory ?? join(images, `${at}.oci`), oci.path), isImage: true };
  const reason = 'it needs a persistentVolumeClaim, s3 or oci';
  if (!s3) throw new QuintetError('MODEL_MISSING', { uri: 'without a source', reason, field: at });
  const { bucket, key, endpoint, region, secretRef } = s3;
  const credentials = secretRef && credentialsAt(secretRef.directory ?? `${secretsRoot}/${at}.s3.secretRef`);
  const object = (name: string) =>
    s3Source({
      bucket,
      key: name,
      ...(endpoint && { endpoint }),
      ...(region && { region }),
      ...(credentials && { credentials }),
    });
  return { key, object };
}

function credentialsAt(folder: string): { accessKeyId: string; secretAccessKey: string } {
  const read = (name: string) => readFileSync(`${folder}/${name}`, 'utf8').trim();
  return { accessKeyId: read('AWS_ACCESS_KEY_ID'), secretAccessKey: read('AWS_SECRET_ACCESS_KEY') };
}
