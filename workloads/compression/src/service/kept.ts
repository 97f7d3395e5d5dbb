// What the cache holds of a compression: its answer as JSON, so that a hit is sent as it was written.
import type { Codec, Source } from '@quintet/runtime';
import { type CompressAnswer, compressAnswer } from './schema.ts';
import type { Outcome } from './work.ts';

/** The result and where its source is kept, so that a hit stores nothing. */
export type TextResult = Extract<Outcome, { text: unknown }>['text'] & Pick<CompressAnswer, 'original'>;

export interface Kept {
  /** The answer but for its `source`. */
  readonly json: Buffer;
  /** Read from `json` where it came from a cache. */
  readonly result: TextResult;
}

const unsourced = compressAnswer.omit({ source: true });

export function keptOf(result: TextResult): Kept {
  return { result, json: Buffer.from(JSON.stringify(unsourced.parse(result))) };
}

/** Tiers outside this process check what they hold: it is not read again only to see that it can be. */
export const keptCodec: Codec<Kept> = {
  encode: ({ json }) => json,
  decode: (json) => ({
    json,
    get result() {
      return JSON.parse(json.toString('utf8')) as TextResult;
    },
  }),
};

export function repliedFrom({ json }: Kept, source: Source): Buffer {
  return Buffer.concat([json.subarray(0, -1), Buffer.from(`,"source":"${source}"}`)]);
}
