// What a client asks for: a brief, and how it is turned into what a model reads.
import { z } from 'zod';
import type { ChatMessage } from '../models/model.ts';
import { languageTag } from './language.ts';
import type { Template } from './template.ts';
import { filled } from './template.ts';

/** One line: what would begin another in a prompt, or cannot be seen, is a space. */
const line = (longest: number) =>
  z
    .string()
    .overwrite((text) => text.replace(/[\s\p{Cc}]+/gu, ' ').trim())
    .min(1)
    .max(longest);

export const brief = z
  .object({
    product: line(256).describe('What is sold.'),
    audience: line(256).optional().describe('Who reads it.'),
    channel: line(64).optional().describe('Where it stands, such as sms; its length may be limited in the resource.'),
    tone: line(128).optional().describe('Such as warm, or matter-of-fact.'),
    facts: z.array(line(512)).max(32).default([]).describe('What may be said of it; nothing else is to be claimed.'),
    callToAction: line(128).optional().describe('What the reader is to do.'),
    required: z.array(line(256)).max(32).default([]).describe('Terms that must stand in each variant.'),
    banned: z.array(line(256)).max(64).default([]).describe('Terms that must not.'),
    language: languageTag.default('en').describe('BCP 47, such as en or pt-BR.'),
    maxCharacters: z.int().min(1).max(100_000).optional().describe('Longest variant; left out, that of the channel.'),
  })
  .strict();

export type Brief = z.output<typeof brief>;

/** Every text of the brief with its field, for checks on what clients write. */
export function textsOf(given: Brief): [field: string, text: string][] {
  const { facts, required, banned, product, audience, channel, tone, callToAction } = given;
  const single = { product, audience, channel, tone, callToAction };
  return [
    ...Object.entries(single).flatMap(([field, text]): [string, string][] =>
      text === undefined ? [] : [[field, text]],
    ),
    ...Object.entries({ facts, required, banned }).flatMap(([field, texts]) =>
      texts.map((text, index): [string, string] => [`${field}.${index}`, text]),
    ),
  ];
}

/** The conversation that asks a model for one variant. `voice` is the brand's own text. */
export function messagesFor(given: Brief, template: Template, voice: string | undefined): ChatMessage[] {
  const rules = [
    'You write marketing copy. Answer with the copy alone: no preface, no explanation, no quotation marks around it.',
    'Claim nothing that the facts do not say.',
    voice && `Brand voice:\n${voice}`,
    `Language: ${given.language}.`,
    given.required.length > 0 && `Use these terms: ${given.required.join('; ')}.`,
    given.banned.length > 0 && `Never use: ${given.banned.join('; ')}.`,
    given.maxCharacters && `At most ${given.maxCharacters} characters.`,
  ].filter((rule) => typeof rule === 'string');
  return [
    { role: 'system', content: rules.join('\n') },
    { role: 'user', content: filled(template.prompt, given) },
  ];
}
