// What the routes answer, for /openapi.json; tests hold it to what is sent.
import { errorBody } from '@quintet/runtime';
import { z } from 'zod';
import { levels } from '../match/fingerprint.ts';
import { variants } from '../pdq/pdq.ts';
import * as schemas from './schemas.ts';

const stage = z.enum(['Exact', 'Hash', 'Features', 'Embedding', 'Profile']);
const state = z.enum(['Enabled', 'Disabled', 'Quarantined', 'Removed']);

const evidence = z.strictObject({
  frame: z.int().optional().describe('Of an animation, the place of the frame that is like the item, from 0.'),
  variant: z.enum(variants).optional().describe('How the query is turned or mirrored.'),
  quality: z.int().optional().describe('Of the hash of the query, 0 to 100.'),
  region: z
    .strictObject({ scale: z.number(), degrees: z.number(), x: z.number(), y: z.number() })
    .optional()
    .describe('Where the item lies in the query.'),
  agreeingCorners: z.int().optional(),
  itemShown: z.number().optional().describe('Share of the item that the query shows.'),
  queryCovered: z.number().optional().describe('Share of the query that the item covers.'),
  mirrored: z.boolean().optional(),
  similarity: z.number().optional().describe('Cosine of the vectors.'),
  fields: z
    .array(z.strictObject({ field: z.string(), query: z.string(), item: z.string(), similarity: z.number() }))
    .optional()
    .describe('Of the profiles, what is alike.'),
  suppressedBecause: z.string().optional(),
});

const match = z.strictObject({
  item: z.string().nullable(),
  number: z.int(),
  bank: z.string(),
  score: z.number().describe('0 to 1; one half at least.'),
  stage: stage.describe('First of the stages that found it.'),
  distance: z.int().nullable().describe('Bits by which the hashes differ, of 256.'),
  metadata: z.unknown(),
  evidence,
});

export const verdict = z.strictObject({
  matched: z.boolean(),
  decidedBy: stage.nullable(),
  score: z.number(),
  quality: z.int().nullable().describe('Of the hash; of an animation, the largest of its frames.'),
  frames: z
    .strictObject({
      of: z.int().describe('Frames of the file.'),
      read: z.int().describe('How many of them were looked at.'),
      judged: z.array(z.int()).describe('Places, from 0, of those that differ most.'),
    })
    .optional()
    .describe('Left out for a still.'),
  matches: z.array(match),
  suppressed: z.array(match).describe('What negative banks suppress, with the reason in evidence.'),
  indexAge: z.number().describe('Milliseconds by which the index may have been behind the record.'),
  shards: z
    .strictObject({ of: z.int(), missing: z.array(z.int()) })
    .optional()
    .describe('Where items are spread: those that nobody answered for.'),
  level: z.enum(levels),
  cached: z.boolean().describe('Whether what the image is was known.'),
  milliseconds: z.strictObject({ image: z.number(), search: z.number(), total: z.number() }),
});

export const verdicts = z.strictObject({
  results: z.array(z.union([verdict, errorBody])).describe('In the order of the queries.'),
});

const itemMembers = {
  id: z.string(),
  bank: z.string().nullable(),
  sha256: z.string().nullable(),
  hash: z.string().nullable().describe('PDQ, 64 hexadecimal digits.'),
  quality: z.int().nullable(),
  profile: schemas.profile.nullable(),
  metadata: z.record(z.string(), z.unknown()).nullable(),
  source: z.string().nullable().describe('The feed that it came by.'),
  state,
  disabledUntil: z.string().nullable(),
};

export const item = z.strictObject(itemMembers);

export const registered = z.strictObject({
  ...itemMembers,
  findableBy: z.array(stage).describe('Stages that can find it.'),
  frame: z
    .strictObject({ index: z.int(), of: z.int() })
    .optional()
    .describe('Of an animation, which of its frames the item is.'),
});

export const itemWithOpinions = z.strictObject({
  ...itemMembers,
  opinions: z.strictObject({ confirm: z.int(), reject: z.int() }),
});

export const items = z.strictObject({
  cursor: z.int().describe('For the next page.'),
  items: z.array(item),
});

export const feed = z.strictObject({ cursor: z.int(), entries: z.array(item) });

export const done = z.null().describe('Done.');

export const imported = z
  .strictObject({
    total: z.int().nullable().describe('Null where lines are read as they come.'),
    done: z.int(),
    added: z.int(),
    known: z.int().describe('Identifiers that were taken; these items are left as they are.'),
    refused: z.int(),
    refusals: z.array(z.strictObject({ index: z.int(), reason: z.string() })),
  })
  .describe('A line for each 200 items or 8 MiB.');

export const bank = z.strictObject({
  name: z.string(),
  kind: z.enum(['Positive', 'Negative']),
  maxDistance: z.int().nullable(),
  enabledRatio: z.number(),
  suppresses: z.array(z.string()).nullable(),
});

export const banks = z.strictObject({ banks: z.array(bank) });

export const audit = z.strictObject({
  entries: z.array(
    z.strictObject({
      at: z.string(),
      actor: z.string(),
      action: z.string(),
      subject: z.string(),
      before: z.unknown(),
      after: z.unknown(),
    }),
  ),
});
