// The model of an embedding brought onto this machine: of a volume where it lies, of S3 a copy in the cache folder.
import { isQuintetError, type ModelCache, placeOf, QuintetError, type SourceSpec } from '@quintet/runtime';
import { namesOf, type Precision } from './file.ts';

export interface FetchedModel {
  readonly source: SourceSpec;
  /** Where the spec has the source. */
  readonly at: string;
  readonly precision: Precision;
  readonly sha256?: string | undefined;
  readonly cache: ModelCache;
  readonly signal: AbortSignal;
}

/**
 * A key that ends in a slash is a folder with a file for each precision, as a folder of a volume is.
 * @returns A file, or a folder of a volume.
 * @throws QuintetError `MODEL_MISSING` or `MODEL_DAMAGED`.
 */
export async function fetchModel({ source, at, precision, sha256, cache, signal }: FetchedModel): Promise<string> {
  const place = placeOf(source, at);
  if ('path' in place) return place.path;
  const { key, object } = place;
  const keys = key.endsWith('/') ? namesOf(precision).map((name) => `${key}${name}`) : [key];
  let missing: unknown = new QuintetError('MODEL_MISSING', { uri: key, reason: 'it is not there' });
  for (const each of keys) {
    const from = object(each);
    try {
      return (await cache.fetch(from, { signal, ...(sha256 !== undefined && { sha256 }) })).path;
    } catch (error) {
      if (!isQuintetError(error) || error.code !== 'MODEL_MISSING') throw error;
      missing = error;
    } finally {
      from.close?.();
    }
  }
  throw missing;
}
