// What a body, or a line of an import, says of an item, with what its image is.
import { MatcherError } from '../errors.ts';
import type { Described } from '../match/fingerprint.ts';
import { parseHash } from '../pdq/pdq.ts';
import type { NewItem } from '../record/record.ts';
import { readBody } from './bodies.ts';
import { parse } from './requests.ts';
import type { Service } from './routes.ts';
import { itemBody } from './schemas.ts';

export interface ReadItem extends Pick<Described, 'frame'> {
  readonly item: NewItem;
}

export function itemReader(started: Service['started']): (body: unknown) => Promise<ReadItem> {
  return async (body) => {
    const { matcher } = await started;
    const { fields, image } = await readBody(body, 'item');
    const { id, bank, profile, metadata, quality, sha256, hash, state, disabledUntil } = parse(itemBody, fields);
    if (!image && !hash && !profile) throw new MatcherError('ItemInvalid', `item ${id} has no image, hash or profile`);
    const known = { sha256, ...(hash !== undefined && { hash: parseHash(hash), quality: quality ?? 100 }) };
    const { item, frame }: Described = image ? await matcher.fingerprints.describe(image) : { item: known };
    const until = disabledUntil === undefined ? undefined : new Date(disabledUntil);
    return { item: { id, bank, profile, metadata, state, disabledUntil: until, ...item }, ...(frame && { frame }) };
  };
}
