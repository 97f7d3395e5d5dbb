// What every language model looks like to the service, wherever it runs.
import type { Priority } from '@quintet/runtime';

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

export type Prompt = { text: string } | { messages: readonly ChatMessage[] };

/** How the next token is chosen, in llama.cpp's order: repetition penalty, top-k, top-p, temperature. */
export interface Sampling {
  maxTokens: number;
  /** 0 takes the likeliest token. */
  temperature: number;
  topP: number;
  /** 0 looks at all tokens. */
  topK: number;
  /** 1 is none. */
  repetitionPenalty: number;
  seed?: number | undefined;
  /** Texts that end the answer and are not part of it. */
  stop: readonly string[];
}

export interface TextRequest extends Sampling {
  /** Whose it is: what a model remembers of one tenant's prompts is not used for another's. */
  tenant: string;
  prompt: Prompt;
  /** What happens to a prompt that leaves no room for the answer: refused, or cut at its beginning. */
  overflow: 'Refuse' | 'Truncate';
  priority?: Priority | undefined;
  /** Kept up to date by the model, so that it is known what an answer that is broken off has cost. */
  used?: Usage | undefined;
  /** Where the chances of tokens are asked for: the model adds those of each piece before it gives the piece. */
  chances?: Chances | undefined;
}

/** Natural logarithms of probabilities in the distribution that tokens were drawn from: after penalty, top-k, top-p and temperature. */
export interface TokenChance {
  token: string;
  logprob: number;
  /** Characters of the answer before it. */
  offset: number;
  /** The likeliest tokens, best first. */
  top: { token: string; logprob: number }[];
}

export interface Chances {
  /** How many of the likeliest tokens are told beside the one taken. */
  top: number;
  tokens: TokenChance[];
}

export interface Usage {
  promptTokens: number;
  completionTokens: number;
  /** Tokens of the prompt whose state was still there. */
  reusedTokens?: number;
}

export interface Ended extends Usage {
  finish: 'stop' | 'length';
}

export interface TextModel {
  /** Name in answers and metrics. */
  readonly id: string;
  /** Changes whenever the same request could be answered differently; part of cache keys. */
  readonly revision: string;
  /** Answers in work at once. */
  readonly parallel: number;
  /** Tokens of prompt and answer together, where it is known. */
  readonly contextTokens?: number;
  /** Tokens of the prompt, exactly or as well as the model's server lets one know. */
  countTokens: (prompt: Prompt) => number;
  /**
   * The answer, piece by piece; whole characters only. Throws `INVALID_REQUEST` for a prompt beyond the context, `CANCELLED` when `signal` aborts, and
   * `DEPENDENCY_UNAVAILABLE` where a server is away.
   */
  generate: (request: TextRequest, signal: AbortSignal) => AsyncGenerator<string, Ended, void>;
  /** Why it cannot serve now; undefined when it can. */
  readonly unavailable?: string | undefined;
  close: () => Promise<void>;
}
