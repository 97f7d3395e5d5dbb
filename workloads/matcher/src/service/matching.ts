// Asking what matches: an image, a hash or a profile alone, or up to 64 of them. What is cached is what an image is (its
// hashes and corners, which depend on its bytes alone); verdicts never are, so a change of an item is obeyed at once.
import { deserialize, serialize } from 'node:v8';
import { counter, engineCache, QuintetError } from '@quintet/runtime';
import type { z } from 'zod';
import { MatcherError } from '../errors.ts';
import { digest } from '../image/decode.ts';
import type { Fingerprint, Level } from '../match/fingerprint.ts';
import type { Verdict } from '../match/matcher.ts';
import { formatHash, parseHash, type Variant } from '../pdq/pdq.ts';
import { turned } from '../pdq/turn.ts';
import { verdict, verdicts } from './answers.ts';
import { asHttp, fromBase64, readBody } from './bodies.ts';
import { answers, readByHandler, sentAsItIs } from './described.ts';
import { operations } from './operations.ts';
import { parse } from './requests.ts';
import type { Service } from './routes.ts';
import * as schemas from './schemas.ts';
import { ServiceLevels } from './sla.ts';

type MatchBody = z.output<typeof schemas.matchBody>;

export async function matching({ server, context, started, ensureBanks, bodyLimit }: Service): Promise<void> {
  const { config, registry } = context;
  const prints = await engineCache<Fingerprint>({
    name: 'matcher',
    kind: 'fingerprint',
    version: '2',
    codec: { encode: (value) => serialize(value), decode: (bytes) => deserialize(bytes) as Fingerprint },
    ...context,
  });
  context.signal.addEventListener('abort', () => void prints.close(), { once: true });
  const levels = new ServiceLevels();
  const counted = counter(registry, 'quintet_matcher_verdicts_total', 'Verdicts by the stage that decided.', ['stage']);

  const fingerprint = async (file: Uint8Array, level: Level, tenant: string, signal: AbortSignal) => {
    const { matcher } = await started;
    if (file.length > config.images.maxSize) {
      throw new MatcherError(
        'ImageTooLarge',
        `the image has ${file.length} bytes; at most ${config.images.maxSize} are taken`,
      );
    }
    const { value, source } = await prints.getOrMake(
      { tenant, input: [digest(file), matcher.fingerprints.keyOf(level)] },
      // Others may wait for the same image when this caller has gone.
      async (wanted) => await matcher.fingerprints.of(file, level, wanted),
      { signal },
    );
    return { value, hit: source !== 'miss' };
  };

  const decide = async (body: MatchBody, file: Uint8Array | undefined, tenant: string, signal: AbortSignal) => {
    const begun = performance.now();
    const { matcher, replica, calls } = await started;
    const level = body.level ?? config.level;
    if (!file && !body.hash && !body.profile)
      throw new MatcherError('QueryEmpty', 'an image, a hash or a profile is needed');
    if (file && body.hash !== undefined) {
      const reason = 'hash: beside an image it would not be looked at; send one of them';
      throw new QuintetError('INVALID_REQUEST', { reason, field: 'hash' });
    }
    // While PostgreSQL is away, the banks are as they were.
    await ensureBanks(tenant).catch(() => undefined);
    const names = new Set(replica.banksOf(tenant).map(({ name }) => name));
    for (const name of body.banks ?? []) {
      if (!names.has(name)) throw new MatcherError('BankUnknown', `bank ${name} does not exist`);
    }
    const print = file && (await fingerprint(file, level, tenant, signal));
    const hashed = performance.now();
    const { topK, minScore, banks, profile } = body;
    const decided: Verdict = await matcher.match({
      tenant,
      level,
      topK,
      minScore,
      banks,
      profile,
      fingerprint:
        print?.value ??
        (body.hash ? ofHash(body.hash, body.quality ?? 100, matcher.fingerprints.waysOf(level)) : undefined),
    });
    calls.add({ tenant, sha256: print?.value.sha256 ?? null }, decided);
    counted.inc({ stage: decided.decidedBy ?? 'None' });
    const done = performance.now();
    const milliseconds = { image: hashed - begun, search: done - hashed, total: done - begun };
    return { ...decided, level, cached: print?.hit ?? false, milliseconds };
  };

  const measured = async (query: MatchBody, file: Uint8Array | undefined, tenant: string, signal: AbortSignal) => {
    const begun = performance.now();
    try {
      const result = await decide(query, file, tenant, signal);
      levels.record(performance.now() - begun, { error: false, hit: file && result.cached });
      return result;
    } catch (error) {
      const known = asHttp(error);
      // What was asked wrongly, or given up by who asked it, is no failure of the service.
      const refused = known instanceof QuintetError && known.status < 500;
      levels.record(performance.now() - begun, { error: !refused });
      throw error;
    }
  };

  const one = {
    summary: 'What an image, a hash or a profile matches',
    description:
      'Also as multipart/form-data, the file in `image` and the other members as JSON in `query`; or the file alone (image/*, application/octet-stream).',
    body: schemas.matchBody as z.ZodType,
    response: answers(verdict),
  };
  server.post(
    '/api/v1/match',
    { bodyLimit, schema: one, ...readByHandler, ...sentAsItIs },
    async ({ body, identity, signal }) => {
      const { fields, image } = await readBody(body, 'query');
      const query = parse(schemas.matchBody, fields);
      return await measured(query, image, identity.tenant, signal);
    },
  );

  const many = {
    summary: 'What each of up to 64 queries matches, or why it is refused',
    body: schemas.matchBatchDescribed as z.ZodType,
    response: answers(verdicts),
  };
  const batchOptions = { bodyLimit: 4 * bodyLimit, schema: many, ...readByHandler, ...sentAsItIs };
  server.post('/api/v1/match/batch', batchOptions, async ({ body, identity, signal }) => {
    const { queries } = parse(schemas.matchBatchBody, body);
    const results = await Promise.all(
      queries.map(async (query) => {
        try {
          const asked = parse(schemas.matchBody, query);
          const file = asked.image === undefined ? undefined : fromBase64(asked.image);
          return await measured(asked, file, identity.tenant, signal);
        } catch (error) {
          const known = asHttp(error);
          if (!(known instanceof QuintetError)) throw error;
          return { error: known.toBody() };
        }
      }),
    );
    return { results };
  });

  operations(server, context, started, levels, prints);
}

/** @param ways In which it is looked for, as the hashes of an image are. */
function ofHash(hash: string, quality: number, ways: readonly Variant[]): Fingerprint {
  const plain = parseHash(hash);
  return {
    sha256: null,
    hashes: ways.map((way) => formatHash(turned(plain, way))),
    quality,
    features: null,
    mirrored: null,
    embedding: null,
  };
}
