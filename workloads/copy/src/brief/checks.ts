// What a variant is checked for, and what a brief may not contain. Pure: the same text and rules give the same checks.
import type { Brief } from './brief.ts';
import { isSameLanguage, otherLanguage } from './language.ts';

export interface Rules {
  banned: readonly string[];
  required: readonly string[];
  readingLevel: 'Plain' | 'Standard' | 'Expert' | 'Any';
  maxCharacters?: number | undefined;
  /** Of the template that was filled, where it says so: its words are known, and need not be guessed from. */
  filledIn?: string | undefined;
}

export interface Check {
  name: 'Banned' | 'Required' | 'Length' | 'Language' | 'ReadingLevel' | 'Numbers';
  passed: boolean;
  /** What was found; empty when the check passed. */
  detail: string;
}

/** The form in which terms are compared: compatibility characters folded, case and invisible characters gone, one space between words. */
export function normalised(text: string): string {
  return text
    .normalize('NFKC')
    .replace(/[\p{Cf}\p{Mn}]/gu, '')
    .toLocaleLowerCase('en')
    .replace(/[‘’]/g, "'")
    .replace(/[\s\p{Zs}]+/gu, ' ')
    .trim();
}

/** True where `term` stands in `text` as words of its own. */
export function holds(text: string, term: string): boolean {
  return standsIn(normalised(text), normalised(term));
}

/** As `holds`, of texts in the normalised form. */
function standsIn(within: string, wanted: string): boolean {
  if (wanted === '') return false;
  for (let at = within.indexOf(wanted); at !== -1; at = within.indexOf(wanted, at + 1)) {
    const end = at + wanted.length;
    const opens = !(isWord(within[at - 1]) && isWord(wanted[0]));
    const closes = !(isWord(within[end]) && isWord(wanted.at(-1)));
    if (opens && closes) return true;
  }
  return false;
}

export function checksOf(text: string, given: Brief, rules: Rules): Check[] {
  const { banned, required } = termsOf(rules);
  const within = normalised(text);
  const found = banned.filter(({ wanted }) => standsIn(within, wanted)).map(({ term }) => term);
  const missing = required.filter(({ wanted }) => !standsIn(within, wanted)).map(({ term }) => term);
  const length = charactersOf(text);
  const tooLong = rules.maxCharacters !== undefined && length > rules.maxCharacters;
  const ease = readingEase(text);
  const least = leastEase[rules.readingLevel];
  const invented = inventedNumbers(text, given);
  const english = given.language.toLowerCase().startsWith('en');
  const { filledIn } = rules;
  const other =
    filledIn !== undefined && !isSameLanguage(filledIn, given.language)
      ? filledIn
      : otherLanguage(text, given.language);
  const check = (name: Check['name'], passed: boolean, detail: string): Check => ({
    name,
    passed,
    detail: passed ? '' : detail,
  });
  return [
    check('Banned', found.length === 0, `holds ${found.map((term) => `"${term}"`).join(', ')}`),
    check('Required', missing.length === 0, `lacks ${missing.map((term) => `"${term}"`).join(', ')}`),
    check('Length', !tooLong, `${length} characters, at most ${rules.maxCharacters}`),
    check('Language', other === undefined, `is in ${other}, asked for was ${given.language}`),
    // The formula is of English.
    ...(english && rules.readingLevel !== 'Any'
      ? [check('ReadingLevel', ease >= least, `reading ease ${ease.toFixed(0)}, at least ${least}`)]
      : []),
    check('Numbers', invented.length === 0, `${invented.join(', ')} is in no fact of the brief`),
  ];
}

interface Term {
  term: string;
  /** Its normalised form. */
  wanted: string;
}

const termsOfRules = new WeakMap<Rules, { banned: Term[]; required: Term[] }>();

/** Rules hold hundreds of terms, and each draft of a request is held against the same ones. */
function termsOf(rules: Rules): { banned: Term[]; required: Term[] } {
  const found = termsOfRules.get(rules);
  if (found) return found;
  const terms = (texts: readonly string[]) => texts.map((term) => ({ term, wanted: normalised(term) }));
  const made = { banned: terms(rules.banned), required: terms(rules.required) };
  termsOfRules.set(rules, made);
  return made;
}

/** Least reading ease: plain English begins at 60, texts for college graduates below 30 (R. Flesch, 1948). */
const leastEase = { Plain: 60, Standard: 30, Expert: 0, Any: Number.NEGATIVE_INFINITY };

/**
 * Reading ease of an English text, about 0 (hard) to 100 (easy): 206.835 − 1.015 words per sentence − 84.6 syllables per word.
 * Source: R. Flesch, "A new readability yardstick", J. Applied Psychology 32 (1948), with syllables counted as groups of vowels.
 */
export function readingEase(text: string): number {
  const words = text.match(/[\p{L}\p{N}'’]+/gu) ?? [];
  if (words.length === 0) return 100;
  const sentences = Math.max(1, (text.match(/(?<![.!?])[.!?]+(?:\s|$)|\n[^\S\n]*\n\s*/g) ?? []).length);
  const syllables = words.reduce((sum, word) => sum + syllablesOf(word), 0);
  return 206.835 - 1.015 * (words.length / sentences) - 84.6 * (syllables / words.length);
}

function syllablesOf(word: string): number {
  const groups = word.toLowerCase().match(/[aeiouyàâäéèêëîïôöùûü]+/g)?.length ?? 1;
  const silent = groups > 1 && /[^aeiouyl]e$/.test(word.toLowerCase()) ? 1 : 0;
  return Math.max(1, groups - silent);
}

/** Numbers in the text that stand nowhere in the brief: a model's own. */
function inventedNumbers(text: string, given: Brief): string[] {
  const known = new Set(
    numbersOf([given.product, given.audience, given.callToAction, ...given.facts, ...given.required].join(' ')),
  );
  return [...new Set(numbersOf(text))].filter((number) => !known.has(number));
}

function numbersOf(text: string): string[] {
  return (text.match(/\d+(?:[.,]\d+)*/g) ?? []).map((number) => number.replace(/[.,](?=\d{3}\b)/g, ''));
}

/** Characters as people count them: an accented letter or a flag is one. */
function charactersOf(text: string): number {
  return Array.from(new Intl.Segmenter().segment(text)).length;
}

/** Phrases by which texts give orders to a model; compared in the normalised form. */
const orders = [
  /\b(ignore|disregard|forget|override)\b.{0,40}\b(instructions?|rules?|prompts?|above|previous|earlier)\b/,
  /\b(reveal|repeat|print|show|output)\b.{0,40}\b(system prompt|hidden prompt|instructions|system message)\b/,
  /\byou are (now|no longer)\b/,
  /\b(pretend|act) (to be|as if|as though)\b.{0,40}\b(system|developer|admin|unrestricted)\b/,
  /<\|[a-z_]+\|>|\[\/?inst\]|<<\/?sys>>|^#+ ?(system|instruction)s?:?/m,
  /(^|\n)\s*(system|assistant|developer)\s*:/,
];

/** The field of a brief that gives orders to the model, or undefined. */
export function orderIn(texts: readonly [field: string, text: string][]): string | undefined {
  return texts.find(([, text]) => {
    const lines = text
      .normalize('NFKC')
      .replace(/\p{Cf}/gu, '')
      .toLowerCase();
    return orders.some((order) => order.test(lines));
  })?.[0];
}

/** How alike two texts are, 0 to 1: Jaccard's index of their runs of three words. */
export function similarity(a: string, b: string): number {
  const left = runsOf(a);
  const right = runsOf(b);
  const shared = [...left].filter((run) => right.has(run)).length;
  const all = left.size + right.size - shared;
  return all === 0 ? 1 : shared / all;
}

function runsOf(text: string): Set<string> {
  const words = normalised(text).match(/[\p{L}\p{N}']+/gu) ?? [];
  const length = Math.min(3, words.length);
  return new Set(words.slice(0, words.length - length + 1).map((_, at) => words.slice(at, at + length).join(' ')));
}

function isWord(character: string | undefined): boolean {
  return character !== undefined && /[\p{L}\p{N}_]/u.test(character);
}
