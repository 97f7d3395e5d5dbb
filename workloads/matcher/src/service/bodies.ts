// Images and their fields out of the three kinds of body: JSON with base64, multipart, the image alone.
import { QuintetError } from '@quintet/runtime';
import { MatcherError } from '../errors.ts';

/** A parsed JSON body, or bytes with their content type as they came. */
export interface RawBody {
  readonly bytes: Buffer;
  readonly type: string;
}

export function isRaw(body: unknown): body is RawBody {
  return Buffer.isBuffer((body as RawBody | null)?.bytes);
}

/** Members of the JSON in field `query` (multipart only) and the image; for a JSON body its `image` decoded. */
export async function readBody(body: unknown, jsonField: string): Promise<{ fields: unknown; image?: Uint8Array }> {
  if (!isRaw(body)) {
    if (typeof body !== 'object') throw new QuintetError('MALFORMED_BODY', { reason: 'an object is needed' });
    const { image, ...fields } = (body ?? {}) as { image?: unknown };
    return image === undefined ? { fields } : { fields, image: fromBase64(image) };
  }
  if (!body.type.startsWith('multipart/form-data')) return { fields: {}, image: body.bytes };
  const form = await new Response(new Uint8Array(body.bytes), { headers: { 'content-type': body.type } })
    .formData()
    .catch((error: unknown) => {
      throw new QuintetError('MALFORMED_BODY', { reason: 'not a multipart body' }, { cause: error });
    });
  const text = form.get(jsonField) ?? '{}';
  const file = form.get('image');
  return {
    fields: parseJson(typeof text === 'string' ? text : await text.text()),
    ...(file !== null && { image: typeof file === 'string' ? fromBase64(file) : await bytesOf(file) }),
  };
}

export function fromBase64(text: unknown): Uint8Array {
  // Each of these looks at a character once, however many there are.
  const plain = typeof text === 'string' ? text.trimEnd() : '=';
  const padding = plain.indexOf('=');
  const ends = padding < 0 || (padding > 0 && padding >= plain.length - 2 && plain.endsWith('='));
  if (!ends || /[^A-Za-z0-9+/_=\s-]/.test(plain)) {
    throw new QuintetError('INVALID_REQUEST', { reason: 'image is not base64', field: 'image' });
  }
  return Buffer.from(plain, 'base64');
}

/** Errors of the matcher in the catalogue that all engines share. */
export function asHttp(error: unknown): unknown {
  if (!(error instanceof MatcherError)) return error;
  const { statusCode, message } = error;
  const options = { cause: error };
  if (statusCode === 404)
    return new QuintetError('NOT_FOUND', { what: message.replace(/ does not exist$/, '') }, options);
  if (statusCode === 409) return new QuintetError('CONFLICT', { reason: message }, options);
  if (statusCode === 503) {
    return new QuintetError(
      'DEPENDENCY_UNAVAILABLE',
      { dependency: error.code === 'ShardMissing' ? 'shards' : 'postgres', reason: message, retryAfter: 1 },
      options,
    );
  }
  if (statusCode === 400) return new QuintetError('INVALID_REQUEST', { reason: message }, options);
  return new QuintetError('UNPROCESSABLE', { reason: message, field: 'image' }, options);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new QuintetError('MALFORMED_BODY', { reason: 'a field is not JSON' }, { cause: error });
  }
}

async function bytesOf(file: { arrayBuffer: () => Promise<ArrayBuffer> }): Promise<Uint8Array> {
  return new Uint8Array(await file.arrayBuffer());
}
