// Bodies of requests: everything bounded, nothing unknown.
import { z } from 'zod';
import { levels } from '../match/fingerprint.ts';

/** PostgreSQL would keep other text than was given: half a surrogate pair becomes U+FFFD, and U+0000 is refused or lost. */
const isKept = (value: string) => value.isWellFormed() && !value.includes('\0');
const text = (most: number) =>
  z.string().max(most).refine(isKept, 'it holds U+0000, or half of a surrogate pair: send well-formed Unicode');

/** Items of feeds have its name before theirs. */
const identifier = text(1024).min(1);
const bankName = text(253).min(1);

export const profile = z
  .strictObject({
    name: text(512).optional(),
    aliases: z.array(text(512)).max(64).optional(),
    attributes: z
      .record(text(128), text(512))
      .refine((attributes) => Object.keys(attributes).length <= 64, 'at most 64 attributes')
      .optional(),
  })
  .refine(({ name, aliases, attributes }) => name ?? aliases?.[0] ?? Object.keys(attributes ?? {})[0], 'it is empty');

/** How much of it there may be, the record says. */
const metadata = z
  .record(text(128), z.unknown())
  .refine((value) => !isDeeperThan(value, 32), 'it is nested more than 32 levels deep')
  .optional();
const hash = z.string().regex(/^[0-9a-fA-F]{64}$/, 'a PDQ hash is 64 hexadecimal digits');

/** That came with a hash; left out, 100. */
const quality = z.int().min(0).max(100).optional();

const querySchema = {
  profile: profile.optional(),
  level: z.enum(levels).optional(),
  topK: z.coerce.number().int().min(1).max(100).default(10),
  minScore: z.coerce.number().min(0).max(1).default(0.5),
  banks: z.array(bankName).max(32).optional(),
};

const base64 = z.string().optional().describe('The file in base64.');

/** In a multipart body `image` is the file, and the other members stand as JSON in the field `query`. */
export const matchBody = z.strictObject({
  image: base64,
  hash: hash.optional(),
  quality,
  ...querySchema,
});
/** Each is read on its own, so that one that is not as described takes no other with it. */
export const matchBatchBody = batchOf(z.unknown());
export const matchBatchDescribed = batchOf(matchBody);

export const itemBody = z
  .strictObject({
    id: identifier,
    bank: bankName.default('default'),
    image: base64,
    hash: hash.optional(),
    quality,
    /** Of the image that is not sent: as another pool exports it. */
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/, 'a SHA-256 is 64 hexadecimal digits')
      .optional(),
    profile: profile.optional(),
    metadata,
    /** As an export says it. */
    state: z.enum(['Enabled', 'Disabled', 'Quarantined']).optional(),
    disabledUntil: z.iso.datetime({ offset: true }).optional(),
  })
  .refine(({ state, disabledUntil }) => !disabledUntil || state === 'Disabled', 'disabledUntil is of disabled items')
  .refine(({ sha256, hash: ofImage, image }) => !sha256 || ofImage || image, 'sha256 needs the hash of the same image');

export const importDescribed = z.object({ items: z.array(itemBody) });

/** Items of a feed have its name before theirs. */
export const itemParams = z.object({ id: identifier });
export const bankParams = z.object({ name: bankName });
export const stateBody = z.strictObject({
  state: z.enum(['Enabled', 'Disabled']),
  until: z.iso.datetime({ offset: true }).optional(),
});
export const opinionBody = z.strictObject({
  opinion: z.enum(['Confirm', 'Reject']),
  note: text(2000).optional(),
});
export const bankBody = z.strictObject({
  kind: z.enum(['Positive', 'Negative']).optional(),
  maxDistance: z.int().min(0).max(255).nullable().optional(),
  enabledRatio: z.number().min(0).max(1).optional(),
  suppresses: z.array(bankName).max(32).nullable().optional(),
});
export const feedQuery = z.object({
  cursor: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(1000).default(500),
});
export const listQuery = z.object({
  cursor: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  bank: bankName.optional(),
  state: z.enum(['Enabled', 'Disabled', 'Quarantined']).optional(),
});

function batchOf<Q extends z.ZodType>(query: Q) {
  return z.strictObject({ queries: z.array(query).min(1).max(64) });
}

function isDeeperThan(value: unknown, most: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; depth < most; depth++) {
    level = level.flatMap((each) => (typeof each === 'object' && each !== null ? Object.values(each) : []));
    if (level.length === 0) return false;
  }
  return true;
}
