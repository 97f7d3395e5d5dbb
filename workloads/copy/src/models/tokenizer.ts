// The tokenizer and chat format of a model for transformers: tokenizer.json, and beside it what says how texts begin, end and are put together.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Template } from '@huggingface/jinja';
import { Tokenizer } from '@huggingface/tokenizers';
import { QuintetError } from '@quintet/runtime';
import { z } from 'zod';
import type { ChatMessage, Prompt } from './model.ts';

export interface TextTokens {
  encode: (prompt: Prompt) => { tokens: number[]; stops: string[] };
  decode: (tokens: readonly number[]) => string;
  /** Tokens that end an answer. */
  ends: ReadonlySet<number>;
  /** As the model's config says. */
  contextTokens?: number;
  /** Sizes of the state that is kept of each layer, where the config tells them. */
  state: { heads?: number; width?: number };
  /** Changes with every file that texts are made into tokens by. */
  digest: string;
}

const ids = z.union([z.int(), z.array(z.int())]).nullish();
const size = z.int().min(1).nullish();
const modelConfig = z.looseObject({
  eos_token_id: ids,
  max_position_embeddings: size,
  n_positions: size,
  num_attention_heads: size,
  n_head: size,
  num_key_value_heads: size,
  head_dim: size,
  hidden_size: size,
  n_embd: size,
});
const named = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish();
const tokenizerConfig = z.looseObject({
  bos_token: named,
  eos_token: named,
  chat_template: z.union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))]).nullish(),
});

/** Where a model brings no format of conversations: it only ever read texts. */
const plainTemplate = `{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}{% else %}### {{ 'Human' if m.role == 'user' else 'Assistant' }}
{{ m.content }}{% endif %}


{% endfor %}{% if add_generation_prompt %}### Assistant
{% endif %}`;
const plainStops = ['### Human'];

/** @param chatTemplate Jinja; the model's own when left out. Throws `MODEL_MISSING`, `MODEL_INVALID` or `CONFIG_INVALID`. */
export function textTokens(model: string, chatTemplate?: string): TextTokens {
  const folder = [dirname(model), dirname(dirname(model))].find((each) => existsSync(join(each, 'tokenizer.json')));
  if (folder === undefined)
    throw new QuintetError('MODEL_MISSING', {
      uri: join(dirname(model), 'tokenizer.json'),
      reason: 'a model for runtime Onnx has its tokenizer.json beside it, or in the folder above',
    });
  const hash = createHash('sha256').update(chatTemplate ?? '');
  const read = (name: string) => {
    const path = join(folder, name);
    if (!existsSync(path)) return undefined;
    const text = readFileSync(path, 'utf8');
    hash.update(`${name}\0${text}\0`);
    return text;
  };
  const parse = <T>(name: string, schema: z.ZodType<T>): T => {
    try {
      return schema.parse(JSON.parse(read(name) ?? '{}'));
    } catch (error) {
      throw new QuintetError('MODEL_INVALID', { reason: `${name} cannot be used: ${(error as Error).message}` });
    }
  };
  const own = parse('tokenizer_config.json', tokenizerConfig);
  const vocabulary = read('tokenizer.json') ?? '';
  const tokenizer = tokenizerOf(vocabulary, own);
  const plain = withoutSpecial(vocabulary);
  const config = parse('config.json', modelConfig);
  const { eos_token_id: ending } = parse('generation_config.json', modelConfig);
  const template = chatTemplate ?? read('chat_template.jinja') ?? templateIn(own);
  const format = formatOf(template ?? plainTemplate, chatTemplate === undefined ? undefined : 'model.chatTemplate');
  const [bos, eos] = [contentOf(own.bos_token), contentOf(own.eos_token)];
  const ends = new Set([ending ?? config.eos_token_id ?? tokenizer.token_to_id(eos) ?? []].flat());
  const contextTokens = config.max_position_embeddings ?? config.n_positions ?? undefined;
  return {
    ends,
    ...(contextTokens !== undefined && { contextTokens }),
    state: stateOf(config),
    digest: hash.digest('hex'),
    decode: (tokens) =>
      tokens.length === 0
        ? ''
        : tokenizer.decode([...tokens], { skip_special_tokens: true, clean_up_tokenization_spaces: false }),
    encode: (prompt) => {
      if ('text' in prompt) {
        const { ids: tokens } = tokenizer.encode(prompt.text.toWellFormed());
        // An empty prompt: the model begins from its end-of-text token, as it learned texts to begin.
        const start = tokenizer.token_to_id(bos) ?? [...ends][0];
        return { tokens: tokens.length > 0 || start === undefined ? tokens : [start], stops: [] };
      }
      const text = format(prompt.messages.map(plain), { bos_token: bos, eos_token: eos });
      // The template writes the special tokens, and nobody else: in a message they would end it and begin another one.
      const { ids: tokens } = tokenizer.encode(text.toWellFormed(), { add_special_tokens: false });
      return { tokens, stops: template === undefined ? plainStops : [] };
    },
  };
}

function tokenizerOf(text: string, config: object): Tokenizer {
  try {
    return new Tokenizer(JSON.parse(text) as object, config);
  } catch (error) {
    const reason = `tokenizer.json is no tokenizer: ${(error as Error).message}`;
    throw new QuintetError('MODEL_INVALID', { reason }, { cause: error });
  }
}

const addedTokens = z.looseObject({
  added_tokens: z.array(z.looseObject({ content: z.string(), special: z.boolean().optional() })).optional(),
});

/** Takes the special tokens out of a message's text. */
function withoutSpecial(text: string): (message: ChatMessage) => ChatMessage {
  const { added_tokens: added = [] } = addedTokens.parse(JSON.parse(text));
  const special = added.filter((token) => token.special === true && token.content.trim() !== '');
  if (special.length === 0) return (message) => message;
  // The longest first. A space stays in their place: what was around it might make another one.
  const names = special.map(({ content }) => content).toSorted((a, b) => b.length - a.length);
  const pattern = new RegExp(names.map((name) => name.replace(/[\\^$.*+?()[\]{}|\-/]/g, '\\$&')).join('|'), 'g');
  return (message) => ({ ...message, content: message.content.replace(pattern, ' ') });
}

function contentOf(token: z.output<typeof named>): string {
  return typeof token === 'string' ? token : (token?.content ?? '');
}

function templateIn({ chat_template: own }: z.output<typeof tokenizerConfig>): string | undefined {
  if (typeof own === 'string') return own;
  return own?.find(({ name }) => name === 'default')?.template ?? undefined;
}

type Format = (messages: readonly ChatMessage[], tokens: Record<string, string>) => string;

/** @param field The resource's field that the template is from; undefined: the model's own. */
function formatOf(text: string, field: string | undefined): Format {
  let template: Template;
  try {
    template = new Template(text);
  } catch (error) {
    const reason = `the chat template is no template of a conversation: ${(error as Error).message}`;
    if (field === undefined) throw new QuintetError('MODEL_INVALID', { reason }, { cause: error });
    throw new QuintetError('CONFIG_INVALID', { field, source: 'the resource', reason }, { cause: error });
  }
  return (messages, tokens) => {
    try {
      const add = messages.at(-1)?.role !== 'assistant';
      return template.render({
        messages: messages.map((each) => ({ ...each })),
        add_generation_prompt: add,
        ...tokens,
      });
    } catch (error) {
      const reason = `the model's chat template does not take them: ${(error as Error).message}`;
      throw new QuintetError('INVALID_REQUEST', { field: 'messages', reason }, { cause: error });
    }
  };
}

function stateOf(config: z.output<typeof modelConfig>): TextTokens['state'] {
  const all = config.num_attention_heads ?? config.n_head ?? undefined;
  const heads = config.num_key_value_heads ?? all;
  const hidden = config.hidden_size ?? config.n_embd ?? undefined;
  const width = config.head_dim ?? (hidden && all ? hidden / all : undefined);
  return { ...(heads !== undefined && { heads }), ...(width !== undefined && { width }) };
}
