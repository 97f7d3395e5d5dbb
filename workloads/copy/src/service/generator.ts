// One text from a model: in turn, within the tenant's quota, counted. Whole answers go through the cache; streams read it and fill it.
import { createHash, randomInt } from 'node:crypto';
import {
  type Cache,
  type CacheRequest,
  counter,
  type EngineContext,
  histogram,
  isQuintetError,
  QuintetError,
  type Source,
} from '@quintet/runtime';
import type { Meaning } from '../brief/meaning.ts';
import type { Ended, Prompt, Sampling, TextModel, TextRequest, TokenChance, Usage } from '../models/model.ts';
import type { Account, Accounts } from './accounts.ts';
import type { CopyConfig } from './config.ts';
import { merged } from './merged.ts';
import { boundedPrompt } from './prompt.ts';
import type { Semantic } from './semantic.ts';
import type { Turn, Turns } from './turns.ts';

export interface Answer extends Usage {
  text: string;
  finish: 'stop' | 'length';
  /** Where they were asked for. */
  tokens?: TokenChance[];
  /** Of the request that it was made for, where that was another one that means the same. */
  similarity?: number;
}

export interface Ask extends Omit<Sampling, 'seed'> {
  prompt: Prompt;
  tenant: string;
  seed: number | undefined;
  /** Answers to the same prompt; each has a seed of its own. */
  n: number;
  priority: Turn['priority'];
  deadline: number | undefined;
  /** What else the answer depends on: template, revision of the prompts. */
  version: string;
  /** Says in the ledger what it was for. */
  tag: string;
  /** Chances of tokens, with so many of the likeliest beside each; undefined: none. */
  logprobs?: number | undefined;
  /** What answers to other requests may be taken by, where the resource allows that. */
  meaning?: Meaning;
  /** False: neither read from the cache nor kept in it. */
  cached: boolean;
}

export interface Generator {
  readonly model: TextModel;
  /** Somebody uses it. */
  readonly busy: boolean;
  /** Keeps it busy, also between the answers that a request needs; gives what ends that. */
  use: () => () => void;
  answers: (ask: Ask, signal: AbortSignal) => Promise<{ answers: Answer[]; source: Source }>;
  /** Pieces of the `n` answers as they come, each with its index; an `end` for each. */
  stream: (ask: Ask, signal: AbortSignal) => AsyncGenerator<StreamEvent, void, void>;
}

/** Of an answer; with the chances of its tokens where they were asked for. */
export interface Piece {
  text: string;
  tokens?: TokenChance[];
}

export type StreamEvent = ({ index: number } & Piece) | { index: number; end: Answer; source: Source };

export interface GeneratorOptions {
  model: TextModel;
  cache: Cache<Answer[]>;
  turns: Turns;
  accounts: Accounts;
  context: EngineContext<CopyConfig>;
  semantic?: Semantic | undefined;
}

export function generator({ model, cache, turns, accounts, context, semantic }: GeneratorOptions): Generator {
  const tokens = counter(context.registry, 'quintet_copy_tokens_total', 'Tokens read, reused and made.', [
    'kind',
    'model',
  ]);
  const first = histogram(
    context.registry,
    'quintet_copy_first_token_seconds',
    'From the request to its first token.',
    ['model'],
  );

  let users = 0;
  const use = () => {
    users++;
    let open = true;
    return () => {
      if (open) users--;
      open = false;
    };
  };

  /** Runs one answer; yields its pieces. */
  async function* one(ask: Ask, index: number, seed: number, signal: AbortSignal): AsyncGenerator<Piece, Answer, void> {
    const asked = performance.now();
    turns.check(ask);
    const promptTokens = model.countTokens(ask.prompt);
    const cost = promptTokens + ask.maxTokens;
    const { tenant, tag, maxTokens } = ask;
    let account: Account | undefined;
    // Kept by the model: what an answer that is broken off has cost.
    const used: Usage = { promptTokens: 0, completionTokens: 0 };
    let state: 'Done' | 'Aborted' = 'Aborted';
    const limit = bounded(signal, ask.deadline);
    try {
      const done = await turns.take(
        { tenant: ask.tenant, priority: ask.priority, deadline: ask.deadline, cost },
        signal,
      );
      try {
        // Not while it waits: what a replica that dies has reserved stays taken.
        account = await accounts.open({ tenant, tag, model: model.id, promptTokens, maxTokens }, used);
        await account.begin();
        const request: TextRequest = {
          ...ask,
          seed: (seed + index) % 2 ** 31,
          overflow: context.config.generation.overflow,
          used,
          chances: ask.logprobs === undefined ? undefined : { top: ask.logprobs, tokens: [] },
        };
        const pieces = model.generate(request, limit.signal);
        let text = '';
        const all: TokenChance[] = [];
        const pieceOf = (piece: string): Piece => {
          if (!request.chances) return { text: piece };
          const fresh = request.chances.tokens.splice(0);
          all.push(...fresh);
          return { text: piece, tokens: fresh };
        };
        let ended: Ended | undefined;
        try {
          for (;;) {
            const { done: over, value } = await pieces.next();
            if (over) {
              ended = value;
              break;
            }
            if (text === '') first.observe({ model: model.id }, (performance.now() - asked) / 1000);
            text += value;
            yield pieceOf(value);
          }
          // Tokens without a text of their own, at the end.
          if (request.chances?.tokens.length) yield pieceOf('');
        } finally {
          await pieces.return(undefined as never);
        }
        Object.assign(used, { promptTokens: ended.promptTokens, completionTokens: ended.completionTokens });
        state = 'Done';
        tokens.inc({ kind: 'completion', model: model.id }, ended.completionTokens);
        tokens.inc({ kind: 'prompt', model: model.id }, ended.promptTokens - (ended.reusedTokens ?? 0));
        tokens.inc({ kind: 'reused', model: model.id }, ended.reusedTokens ?? 0);
        return { text, ...ended, ...(request.chances && { tokens: all }) };
      } finally {
        done();
      }
    } finally {
      limit.end();
      await account?.settle(used, state);
    }
  }

  const whole = async (ask: Ask, index: number, seed: number, signal: AbortSignal): Promise<Answer> => {
    const pieces = one(ask, index, seed, signal);
    for (;;) {
      const { done, value } = await pieces.next();
      if (done) return value;
    }
  };
  const make = async (ask: Ask, signal: AbortSignal): Promise<Answer[]> => {
    const seed = ask.seed ?? randomInt(2 ** 31);
    const stop = new AbortController();
    const within = AbortSignal.any([signal, stop.signal]);
    try {
      return await Promise.all(Array.from({ length: ask.n }, (_, index) => whole(ask, index, seed, within)));
    } catch (error) {
      // The others would be thrown away.
      stop.abort(new QuintetError('CANCELLED'));
      throw error;
    }
  };

  const bounds = (prompt: Prompt) => boundedPrompt(prompt, model.contextTokens, context.config.generation.overflow);
  const keyOf = (ask: Ask) => cacheRequest(ask, model);
  const hit = ({ tenant, tag }: Ask, answers: readonly Answer[]) => {
    for (const answer of answers) accounts.cached({ tenant, tag, model: model.id }, answer);
  };

  const meantOrMade = async (ask: Ask, signal: AbortSignal): Promise<Answer[]> => {
    // Others may wait for it when the one that began it has gone.
    const done = use();
    try {
      const look = ask.meaning && (await semantic?.look(keyOf(ask), ask.meaning, signal));
      if (look?.found) throw new Meant(look.found);
      const made = await make(ask, signal);
      look?.keep();
      return made;
    } finally {
      done();
    }
  };

  const answers = async (ask: Ask, signal: AbortSignal): Promise<{ answers: Answer[]; source: Source }> => {
    if (!ask.cached) return { answers: await make(ask, signal), source: 'miss' };
    // Others may join: the work has no deadline, each caller has its own.
    const limit = bounded(signal, ask.deadline);
    let own = false;
    const begin = (cancelled: AbortSignal) => {
      own = true;
      return meantOrMade({ ...ask, deadline: undefined }, cancelled);
    };
    try {
      const { value, source } = await cache.getOrMake(keyOf(ask), begin, { signal: limit.signal });
      if (!own) hit(ask, value);
      return { answers: value, source };
    } catch (error) {
      if (error instanceof Meant) {
        hit(ask, error.answers);
        return { answers: error.answers, source: 'miss' };
      }
      // Turned away was one that waits as little as its own priority lets it: this one asks for itself.
      if (!own && !limit.signal.aborted && isQuintetError(error) && error.code === 'OVERLOADED')
        return { answers: await make(ask, limit.signal), source: 'miss' };
      const { reason } = limit.signal as { reason: unknown };
      throw limit.signal.aborted && !signal.aborted && reason instanceof QuintetError ? reason : error;
    } finally {
      limit.end();
    }
  };

  async function* stream(ask: Ask, signal: AbortSignal): AsyncGenerator<StreamEvent, void, void> {
    const kept = ask.cached ? await cache.get(keyOf(ask)) : undefined;
    if (kept) {
      hit(ask, kept.value);
      for (const [index, end] of kept.value.entries()) {
        if (end.text !== '') yield { index, text: end.text, ...(end.tokens && { tokens: end.tokens }) };
        yield { index, end, source: kept.source };
      }
      return;
    }
    const seed = ask.seed ?? randomInt(2 ** 31);
    const stop = new AbortController();
    const within = AbortSignal.any([signal, stop.signal]);
    const made: Answer[] = [];
    try {
      const all = Array.from({ length: ask.n }, (_, index) => one(ask, index, seed, within));
      for await (const { index, result } of merged(all)) {
        if (result.done) {
          made[index] = result.value;
          yield { index, end: result.value, source: 'miss' };
        } else yield { index, ...result.value };
      }
      if (ask.cached) await cache.set(keyOf(ask), made);
    } finally {
      stop.abort(new QuintetError('CANCELLED'));
    }
  }

  return {
    model,
    get busy() {
      return users > 0;
    },
    use,
    answers: async (asked, signal) => {
      const done = use();
      try {
        return await answers({ ...asked, prompt: bounds(asked.prompt) }, signal);
      } finally {
        done();
      }
    },
    async *stream(asked, signal) {
      const done = use();
      try {
        yield* stream({ ...asked, prompt: bounds(asked.prompt) }, signal);
      } finally {
        done();
      }
    },
  };
}

/** Answers that another request has in the cache: thrown, as only so they are not kept anew, and live no longer than they would have. */
class Meant extends Error {
  readonly answers: Answer[];

  constructor(answers: Answer[]) {
    super('answers to a request that means the same');
    this.answers = answers;
  }
}

/** What is asked for where the request does not say: as configured, but room is left for the prompt. */
export function defaultLength({ contextTokens = Number.POSITIVE_INFINITY }: TextModel, maxLength: number): number {
  return Math.min(maxLength, Math.floor(contextTokens / 2));
}

/** Everything that the answer depends on; when and how urgently it was asked for is not. */
function cacheRequest(ask: Ask, { id, revision }: TextModel): CacheRequest {
  const { tenant, prompt, n, maxTokens, temperature, topP, topK, repetitionPenalty, stop, seed, version, logprobs } =
    ask;
  const sampling = { maxTokens, temperature, topP, topK, repetitionPenalty, stop, seed, logprobs };
  return { tenant, input: { model: `${id}:${revision}`, prompt, n, ...sampling, version } };
}

/** A signal that aborts with `signal`, or with `DEADLINE_EXCEEDED` at the deadline; `end` lets go of its timer. */
function bounded(signal: AbortSignal, deadline: number | undefined): { signal: AbortSignal; end: () => void } {
  if (deadline === undefined) return { signal, end: () => undefined };
  const control = new AbortController();
  const timer = setTimeout(
    () => control.abort(new QuintetError('DEADLINE_EXCEEDED')),
    Math.min(Math.max(0, deadline - Date.now()), 2 ** 31 - 1),
  );
  timer.unref();
  return { signal: AbortSignal.any([signal, control.signal]), end: () => clearTimeout(timer) };
}

/** Short name of everything that an answer depends on besides the request: OpenAI's `system_fingerprint`. */
export function fingerprintOf(...parts: string[]): string {
  return `fp_${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 10)}`;
}
