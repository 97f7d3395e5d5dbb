// Templates of copy: a prompt for language models, and parts that are put together where there is no model. Files in YAML, one template each.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import type { Brief } from './brief.ts';
import { languageTag } from './language.ts';

/** `{{product}}`, `{{audience}}`, `{{tone}}`, `{{channel}}`, `{{callToAction}}`, `{{facts}}` (a list), `{{fact}}` (the next one). */
const slot = /\{\{\s*(\w+)\s*\}\}/g;
const slots = ['product', 'audience', 'tone', 'channel', 'callToAction', 'facts', 'fact', 'language'] as const;
type SlotName = (typeof slots)[number];

const pattern = z
  .string()
  .min(1)
  .max(4096)
  .superRefine((text, context) => {
    for (const [, name] of text.matchAll(slot)) {
      if (!slots.includes(name as SlotName))
        context.addIssue({ code: 'custom', message: `{{${name}}} is no slot; there are ${slots.join(', ')}` });
    }
  });

const schema = z.strictObject({
  name: z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be lower-case letters, digits and hyphens'),
  title: z.string().max(128),
  description: z.string().max(1024).optional(),
  prompt: pattern,
  language: languageTag.optional().describe('BCP 47, of the parts; left out, any that a brief asks for.'),
  parts: z
    .array(z.array(pattern).min(1).max(32))
    .min(1)
    .max(16)
    .optional()
    .describe('Alternatives for each part, in order; left out, the template needs a language model.'),
  separator: z.string().max(16).default(' '),
});

export type Template = z.output<typeof schema>;

/** Throws `RangeError` naming file, line and what is wrong. */
export function parseTemplate(file: string, text: string): Template {
  const document = parseDocument(text, { prettyErrors: true });
  const [error] = document.errors;
  if (error) throw new RangeError(`${file}: ${error.message.split('\n')[0]}`);
  const parsed = schema.safeParse(document.toJS());
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new RangeError(`${file}: ${issue?.path.join('.') || 'the template'}: ${issue?.message}`);
}

export interface Prompts {
  templates: ReadonlyMap<string, Template>;
  /** The brand's own text, from all `.md` and `.txt` files. */
  voice: string | undefined;
}

/** The built-in templates, then those of `folder`, which replace built-in ones of the same name. Throws `RangeError` as `parseTemplate`. */
export function readPrompts(builtIn: string, folder?: string): Prompts {
  const templates = new Map<string, Template>();
  const voices: string[] = [];
  for (const from of [builtIn, ...(folder === undefined ? [] : [folder])]) {
    // Names that begin with a dot are Kubernetes' own links.
    for (const file of readdirSync(from)
      .filter((name) => !name.startsWith('.'))
      .sort()) {
      const text = readFileSync(join(from, file), 'utf8');
      if (/\.ya?ml$/.test(file)) {
        const template = parseTemplate(file, text);
        templates.set(template.name, template);
      } else if (/\.(md|txt)$/.test(file)) voices.push(text.trim());
      else throw new RangeError(`${file}: templates end in .yaml, texts of the brand voice in .md or .txt`);
    }
  }
  return { templates, voice: voices.length > 0 ? voices.join('\n\n') : undefined };
}

/** The pattern with the brief's texts in it; what the brief does not say is left empty. */
export function filled(text: string, given: Brief): string {
  return text.replace(slot, (_, name: SlotName) => valueOf(name, given, () => given.facts[0]) ?? '').trim();
}

/**
 * The brief realised without a model: of each part one alternative whose slots the brief can fill, chosen by `random`. Undefined when the template has
 * no parts, or the brief too little for any.
 */
export function realised(template: Template, given: Brief, random: () => number): string | undefined {
  let used = 0;
  const chosen = (template.parts ?? []).flatMap((alternatives) => {
    const possible = alternatives.filter((text) => canFill(text, given, used));
    const text = possible[Math.floor(random() * possible.length)];
    if (text === undefined) return [];
    return [
      text.replace(slot, (_, name: SlotName, at: number) => {
        const value = valueOf(name, given, () => given.facts[used++]) ?? '';
        // Names are written as they are, also where a sentence begins.
        return name !== 'product' && /(^|[.!?]\s+)$/.test(text.slice(0, at)) ? capitalised(value) : value;
      }),
    ];
  });
  return chosen.length > 0 ? chosen.map(finished).join(template.separator) : undefined;
}

function canFill(text: string, given: Brief, used: number): boolean {
  let next = used;
  return [...text.matchAll(slot)].every(([, name]) => valueOf(name as SlotName, given, () => given.facts[next++]));
}

function valueOf(name: SlotName, given: Brief, nextFact: () => string | undefined): string | undefined {
  if (name === 'facts') return given.facts.length > 0 ? given.facts.map((fact) => `- ${fact}`).join('\n') : undefined;
  if (name === 'fact') return nextFact();
  return given[name];
}

/** One space between words, one mark at the end. */
function finished(text: string): string {
  return text
    .replace(/[ \t]+/g, ' ')
    .replace(/([.!?])\.(?=\s|$)/g, '$1')
    .trim();
}

function capitalised(text: string): string {
  return text.charAt(0).toLocaleUpperCase() + text.slice(1);
}
