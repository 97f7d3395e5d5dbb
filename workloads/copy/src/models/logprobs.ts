// The chances of tokens in OpenAI's two forms, that of completions and that of conversations: read, written and described.
import { z } from 'zod';
import type { TokenChance } from './model.ts';

/** Most alternatives of a token. */
export const mostAlternatives = 20;

const logprob = z.number().describe('Natural logarithm of its probability among those that it was drawn from.');
const bytes = z.array(z.int()).nullable().describe('Null where the token is only a part of a character.');
const alternative = z.object({ token: z.string(), logprob, bytes });

export const completionLogprobs = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number()),
  top_logprobs: z.array(z.record(z.string(), z.number())).nullable(),
  text_offset: z.array(z.int()),
});
export const chatLogprobs = z.object({
  content: z.array(alternative.extend({ top_logprobs: z.array(alternative) })),
  refusal: z.null(),
});

export function asCompletionLogprobs(tokens: readonly TokenChance[]): z.output<typeof completionLogprobs> {
  const hasTop = tokens.some(({ top }) => top.length > 0);
  return {
    tokens: tokens.map(({ token }) => token),
    token_logprobs: tokens.map((each) => finite(each.logprob)),
    top_logprobs: hasTop
      ? tokens.map(({ top }) => Object.fromEntries(top.map((each) => [each.token, finite(each.logprob)])))
      : null,
    text_offset: tokens.map(({ offset }) => offset),
  };
}

export function asChatLogprobs(tokens: readonly TokenChance[]): z.output<typeof chatLogprobs> {
  const named = ({ token, logprob: value }: { token: string; logprob: number }) => ({
    token,
    logprob: finite(value),
    bytes: token.includes('\uFFFD') ? null : [...Buffer.from(token)],
  });
  const content = tokens.map((each) => ({ ...named(each), top_logprobs: each.top.map(named) }));
  return { content, refusal: null };
}

const told = z.looseObject({ token: z.string(), logprob: z.number() });
const theirs = z.union([
  z.object({ content: z.array(told.extend({ top_logprobs: z.array(told).nullish() })) }),
  z.object({
    tokens: z.array(z.string()),
    token_logprobs: z.array(z.number().nullable()),
    top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullish(),
  }),
]);

/** What a server told of the tokens of a piece that begins at `offset`; none where it told nothing. */
export function chancesOf(logprobs: unknown, offset: number): TokenChance[] {
  const { data } = theirs.safeParse(logprobs);
  if (!data) return [];
  let at = offset;
  const placed = (token: string, value: number, top: TokenChance['top']): TokenChance => {
    const chance = { token, logprob: value, offset: at, top };
    at += token.length;
    return chance;
  };
  if ('content' in data)
    return data.content.map((each) => placed(each.token, each.logprob, namedOf(each.top_logprobs)));
  return data.tokens.map((token, index) => {
    const top = Object.entries(data.top_logprobs?.[index] ?? {}).map(([name, value]) => ({
      token: name,
      logprob: value,
    }));
    return placed(
      token,
      data.token_logprobs[index] ?? least,
      top.toSorted((a, b) => b.logprob - a.logprob),
    );
  });
}

function namedOf(top: readonly { token: string; logprob: number }[] | null | undefined): TokenChance['top'] {
  return top?.map(({ token, logprob: value }) => ({ token, logprob: value })) ?? [];
}

/** JSON has no infinity; OpenAI's own server says this of what is next to impossible. */
const least = -9999;
const finite = (value: number) => Math.max(least, value);
