// How a token is drawn from a model's logits, by the same rules as llama.cpp: repetition penalty, top-k, top-p, temperature.
import type { Sampling, TokenChance } from './model.ts';

export type Rules = Pick<Sampling, 'temperature' | 'topP' | 'topK' | 'repetitionPenalty'>;

export interface Drawn {
  token: number;
  logprob: number;
  /** The likeliest tokens of the same distribution, best first. */
  top: { token: number; logprob: number }[];
}

interface Candidate {
  token: number;
  logit: number;
}

/**
 * @param logits of every token of the vocabulary; not changed.
 * @param recent Tokens that the penalty is for; each counts once.
 * @param random Uniform in [0, 1).
 * @param top How many of the likeliest are told.
 */
export function draw(
  logits: Float32Array,
  rules: Rules,
  recent: readonly number[],
  random: () => number,
  top = 0,
): Drawn {
  const penalised = withPenalty(logits, rules.repetitionPenalty, recent);
  const { temperature, topK, topP } = rules;
  if (temperature === 0) return greedy(penalised, top);
  const candidates = nucleus(likeliest(penalised, topK, temperature), topP);
  const best = candidates[0]?.logit ?? 0;
  const weights = candidates.map(({ logit }) => Math.exp((logit - best) / temperature));
  const sum = weights.reduce((all, weight) => all + weight, 0);
  const chance = (index: number) => ({
    token: (candidates[index] as Candidate).token,
    logprob: Math.log((weights[index] as number) / sum),
  });
  return { ...chance(indexAt(weights, random() * sum)), top: candidates.slice(0, top).map((_, at) => chance(at)) };
}

/** The likeliest, with chances among all tokens: neither top-k nor top-p changes which it is. */
function greedy(logits: Float32Array, top: number): Drawn {
  const candidates = fewLikeliest(logits, Math.max(1, top));
  const best = candidates[0]?.logit ?? 0;
  const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - best), 0));
  const [first, ...others] = candidates.map(({ token, logit }) => ({ token, logprob: logit - best - total }));
  if (!first) throw new RangeError('no logits');
  return { ...first, top: [first, ...others].slice(0, top) };
}

/** A draw in words. */
export function told(drawn: Drawn, textOf: (token: number) => string): Omit<TokenChance, 'offset'> {
  const named = ({ token, logprob }: { token: number; logprob: number }) => ({ token: textOf(token), logprob });
  return { ...named(drawn), top: drawn.top.map(named) };
}

/** Uniform numbers in [0, 1) that a seed decides: mulberry32 (T. Ettinger, public domain). */
export function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function withPenalty(logits: Float32Array, penalty: number, recent: readonly number[]): Float32Array {
  if (penalty === 1) return logits;
  const penalised = logits.slice();
  for (const token of new Set(recent)) {
    const logit = penalised[token];
    if (logit !== undefined) penalised[token] = logit > 0 ? logit / penalty : logit * penalty;
  }
  return penalised;
}

/** Beyond this many a sort of all is quicker than a list kept in order. */
const longestList = 512;

/** Less likely than the best by this factor's exponential, a token is never drawn. */
const farthest = 40;

/** The `topK` with the largest logits, best first; of equals the one with the smaller number. 0 takes all that can be drawn. */
function likeliest(logits: Float32Array, topK: number, temperature: number): Candidate[] {
  if (topK > 0 && topK <= longestList) return fewLikeliest(logits, topK);
  const best = logits.reduce((most, logit) => Math.max(most, logit), Number.NEGATIVE_INFINITY);
  const least = best - farthest * Math.max(1, temperature);
  const all: Candidate[] = [];
  for (const [token, logit] of logits.entries()) if (logit >= least) all.push({ token, logit });
  all.sort((a, b) => b.logit - a.logit || a.token - b.token);
  return topK > 0 ? all.slice(0, topK) : all;
}

function fewLikeliest(logits: Float32Array, most: number): Candidate[] {
  const kept: Candidate[] = [];
  let least = Number.NEGATIVE_INFINITY;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token] as number;
    if (kept.length === most && !(logit > least)) continue;
    let at = kept.length;
    while (at > 0 && (kept[at - 1] as Candidate).logit < logit) at--;
    kept.splice(at, 0, { token, logit });
    if (kept.length > most) kept.pop();
    least = kept.at(-1)?.logit ?? least;
  }
  return kept;
}

/** The fewest of the likeliest that together have the share `topP`; one at least. */
function nucleus(candidates: Candidate[], topP: number): Candidate[] {
  if (topP >= 1) return candidates;
  const best = candidates[0]?.logit ?? 0;
  const total = candidates.reduce((sum, { logit }) => sum + Math.exp(logit - best), 0);
  let mass = 0;
  const end = candidates.findIndex(({ logit }) => {
    mass += Math.exp(logit - best) / total;
    return mass >= topP;
  });
  return end === -1 ? candidates : candidates.slice(0, end + 1);
}

function indexAt(weights: readonly number[], target: number): number {
  let rest = target;
  for (const [index, weight] of weights.entries()) {
    rest -= weight;
    if (rest < 0) return index;
  }
  return weights.length - 1;
}
