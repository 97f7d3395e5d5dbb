// Growing dialogues. Each message is compressed by itself, by its role, tool and tags alone, so what was sent to the model
// once stays byte for byte the same turn after turn and its prompt cache keeps hitting. Recent messages stay as they are.
import { type Compressed, type CompressOptions, compress, type Rate, tolerance } from './compress.ts';
import { CompressionError } from './errors.ts';
import { type TokenizerName, tokenizer } from './tokens.ts';

export interface Message {
  readonly role: 'system' | 'developer' | 'user' | 'assistant' | 'tool';
  readonly content: string;
  /** Name of the tool whose result this is. */
  readonly tool?: string;
  readonly tags?: readonly string[];
  /** Offsets into `content` that must come out exactly. */
  readonly protect?: readonly { readonly start: number; readonly end: number }[];
}

/** The first policy that matches all it names decides; a later one never adds to it. */
export interface Policy {
  readonly role?: Message['role'];
  readonly tool?: string;
  readonly tag?: string;
  /** `Keep` leaves the message as it is. */
  readonly action: 'Keep' | 'Compress';
  /** Left out: the ratio of the conversation. */
  readonly ratio?: number;
  readonly strategy?: string;
}

export interface ConversationOptions {
  readonly messages: readonly Message[];
  readonly ratio?: number;
  /** Of messages whose policy names none; default `auto`. Never `frequency`: legends of several messages would collide. */
  readonly strategy?: string;
  readonly policies?: readonly Policy[];
  readonly prefer?: CompressOptions['prefer'];
  readonly plugins?: CompressOptions['plugins'];
  /** Messages at the end that are never touched; default 4. */
  readonly keepRecent?: number;
  /**
   * The border between compressed and untouched messages moves by this many at a time (default 4): between two moves not
   * even the border changes, so the model's cache holds up to the newest message. A message that outweighs all that is recent
   * moves it at once: what it saves is more than what the model reads anew.
   */
  readonly step?: number;
  readonly tokenizer?: TokenizerName;
}

export interface CompressedConversation {
  readonly messages: readonly Message[];
  /** How many messages from the start are in their final form: these bytes do not change as the dialogue grows. */
  readonly stable: number;
  readonly originalTokens: number;
  readonly compressedTokens: number;
  readonly ratio: number;
  readonly rate: Rate;
  /** Per message, undefined where it was left as it is. */
  readonly results: readonly (Compressed | undefined)[];
}

/** Instructions are obeyed word by word, and what people say is short and dense: both are spared where no policy speaks. */
const defaults: readonly Policy[] = [
  { role: 'system', action: 'Keep' },
  { role: 'developer', action: 'Keep' },
  { role: 'user', action: 'Compress', ratio: 2 },
];

/** Below this a message is not worth an ellipsis. */
const fewestTokens = 40;

/** Below this no message moves the border out of turn. */
const heavyTokens = 512;

/** What is to be done with each message, decided by the message alone. */
export interface ConversationPlan {
  readonly stable: number;
  readonly ratio: number;
  /** Why less is shortened than was asked for, as far as the messages themselves say. */
  readonly held: string;
  /** Of each message as it came. */
  readonly tokens: readonly number[];
  /** Per message how it is compressed, but for its text; undefined where it is left as it is. */
  readonly work: readonly (Omit<CompressOptions, 'text'> | undefined)[];
}

export function compressConversation(options: ConversationOptions): CompressedConversation {
  const { prefer, plugins } = options;
  const plan = planConversation(options);
  const results = options.messages.map(({ content }, index) => {
    const work = plan.work[index];
    return work && compress({ ...work, text: content, ...(prefer && { prefer }), ...(plugins && { plugins }) });
  });
  return { ...conversationOf(options.messages, plan, results), results };
}

export function planConversation(options: ConversationOptions): ConversationPlan {
  const { messages, ratio = 8, keepRecent = 4, step = 4, strategy } = options;
  if (!Number.isInteger(keepRecent) || keepRecent < 0) {
    throw new CompressionError('InvalidField', 'keepRecent', 'keepRecent must be a whole number, 0 or more');
  }
  if (!Number.isInteger(step) || step < 1)
    throw new CompressionError('InvalidField', 'step', 'step must be a whole number, 1 or more');
  const counter = tokenizer(options.tokenizer ?? 'o200k_base');
  const policies = [...(options.policies ?? []), ...defaults];
  const chosen = messages.map(
    (message): Policy => policies.find((each) => matches(each, message)) ?? { action: 'Compress' },
  );
  const tokens = messages.map(({ content }) => counter.count(content));
  const spared = chosen.map(({ action }) => action === 'Keep');
  const stable = borderOf(tokens, spared, keepRecent, step);
  const ratios = chosen.map((policy) =>
    defaults.includes(policy) ? Math.min(policy.ratio ?? ratio, ratio) : (policy.ratio ?? ratio),
  );
  const work = messages.map((message, index) => {
    const policy = chosen[index] as Policy;
    if (index >= stable || spared[index] || (tokens[index] as number) < fewestTokens) return undefined;
    return {
      ratio: ratios[index] as number,
      legend: false,
      strategy: policy.strategy ?? strategy ?? 'auto',
      ...(message.protect && { protect: message.protect }),
      ...(options.tokenizer && { tokenizer: options.tokenizer }),
    };
  });
  const rest = messages.length - stable;
  const kept = spared.slice(0, stable).filter(Boolean).length;
  const short = work.slice(0, stable).filter((each) => !each).length - kept;
  const gentle = work.filter((each) => each && each.ratio < ratio).length;
  // What the next message does is told as if it were light: of a heavy one nothing is known yet.
  const next = (Math.floor(stable / step) + 1) * step + keepRecent;
  const held = [
    stable === 0 &&
      `${messages.length} messages: shortened from ${next} on, or once one outweighs the ${keepRecent} after it`,
    stable > 0 && rest > 0 && `the last ${rest} are left as they are until there are ${next}`,
    kept > 0 && `kept by their role or policy: ${kept}`,
    short > 0 && `shorter than ${fewestTokens} tokens: ${short}`,
    gentle > 0 && `held to a lower ratio by their role or policy: ${gentle}`,
  ].filter((each) => each !== false);
  return { stable, ratio, held: held.join('; '), tokens, work };
}

/**
 * How many messages from the start are final. Moved by `step` at a time, and past each message that had more tokens than the
 * `keepRecent` after it together: that is decided by those messages alone, so the border never goes back as messages follow.
 */
function borderOf(tokens: readonly number[], spared: readonly boolean[], keepRecent: number, step: number): number {
  const old = Math.max(0, tokens.length - keepRecent);
  const usual = Math.floor(old / step) * step;
  for (let index = old - 1; index >= usual; index--) {
    const own = tokens[index] as number;
    const after = sum(tokens.slice(index + 1, index + 1 + keepRecent));
    if (!spared[index] && own >= heavyTokens && own > after) return index + 1;
  }
  return usual;
}

/** The messages with what became of those that were compressed. */
export function conversationOf(
  messages: readonly Message[],
  { stable, ratio: requested, held, tokens }: ConversationPlan,
  results: readonly (Pick<Compressed, 'text' | 'compressedTokens'> | undefined)[],
): Omit<CompressedConversation, 'results'> {
  const compressed = messages.map((message, index) => {
    const result = results[index];
    if (!result) return message;
    // Offsets of protected parts are those of the original and would mislead in the compressed text.
    const { protect: _, ...rest } = message;
    return { ...rest, content: result.text };
  });
  const originalTokens = sum(tokens);
  const compressedTokens = sum(tokens.map((count, index) => results[index]?.compressedTokens ?? count));
  const ratio = originalTokens / Math.max(compressedTokens, 1);
  const met = ratio >= requested * (1 - tolerance);
  const reason = held || 'the smallest parts that can be kept whole have more tokens than asked for';
  const rate = { requested, reached: ratio, met, ...(!met && { reason }) };
  return { messages: compressed, stable, originalTokens, compressedTokens, ratio, rate };
}

function matches({ role, tool, tag }: Policy, message: Message): boolean {
  if (role !== undefined && role !== message.role) return false;
  if (tool !== undefined && tool !== message.tool) return false;
  return tag === undefined || (message.tags?.includes(tag) ?? false);
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
