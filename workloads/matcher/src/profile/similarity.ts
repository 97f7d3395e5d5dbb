// How like two profiles are: names and aliases by their letters, their sound and the edits between them, attributes
// by value. Names are compared in every script; the sound is of the Latin one, which others are transcribed to where
// Unicode knows how.
export interface Profile {
  readonly name?: string | undefined;
  readonly aliases?: readonly string[] | undefined;
  readonly attributes?: Readonly<Record<string, string>> | undefined;
}

export interface ProfileMatch {
  /** 0..1. */
  readonly similarity: number;
  /** Which name met which, and which attributes agree or differ. */
  readonly fields: readonly FieldEvidence[];
}

export interface FieldEvidence {
  readonly field: string;
  readonly query: string;
  readonly item: string;
  readonly similarity: number;
}

/** Names weigh as much as so many attributes, and as much as all of them where there are more. */
const nameWeight = 4;

/** Letters that comparisons may still cost: when none are left, names that come later are not compared. */
export interface Budget {
  left: number;
}

/**
 * The fields both sides have; undefined when there is none. A name that one side lacks counts against it, as a country alone
 * is that of many; where neither has one, each attribute does that the query has and the item lacks.
 */
export function compareProfiles(
  query: Profile,
  item: Profile,
  phonetic = true,
  budget: Budget = { left: Number.POSITIVE_INFINITY },
): ProfileMatch | undefined {
  const fields: FieldEvidence[] = [];
  const [asked, known] = [namesOf(query), namesOf(item)];
  const best = bestName(asked, known, phonetic, budget);
  if (best) fields.push(best);
  for (const [key, value] of Object.entries(query.attributes ?? {})) {
    const other = Object.hasOwn(item.attributes ?? {}, key) ? item.attributes?.[key] : undefined;
    if (other === undefined) continue;
    budget.left -= costOfWords * (value.length + other.length);
    const similarity = normalize(value) === normalize(other) ? 1 : trigramSimilarity(value, other) ** 2;
    fields.push({ field: `attributes.${key}`, query: value, item: other, similarity });
  }
  if (fields.length === 0) return undefined;
  const shared = fields.length - Number(best !== undefined);
  const alike = fields.reduce((sum, each) => sum + (each === best ? 0 : each.similarity), 0);
  if (asked.length + known.length === 0) {
    return { similarity: alike / Object.keys(query.attributes ?? {}).length, fields };
  }
  const weight = Math.min(1, nameWeight / Math.max(1, shared));
  const similarity = (nameWeight * (best?.similarity ?? 0) + weight * alike) / (nameWeight + weight * shared);
  return { similarity, fields };
}

/** Whether no name is among what two profiles have in common. */
export function isWithoutName({ fields }: Pick<ProfileMatch, 'fields'>): boolean {
  return fields[0]?.field.startsWith('attributes.') ?? false;
}

export function namesOf({ name, aliases = [] }: Profile): string[] {
  return [...(name === undefined ? [] : [name]), ...aliases].filter((each) => normalize(each) !== '');
}

/** A letter that is taken apart costs as much as so many that are compared. */
const costOfWords = 20;

function bestName(
  query: readonly string[],
  item: readonly string[],
  phonetic: boolean,
  budget: Budget,
): FieldEvidence | undefined {
  let best: FieldEvidence | undefined;
  const names = (texts: readonly string[]) =>
    texts.map((text) => {
      budget.left -= costOfWords * text.length;
      return nameOf(text);
    });
  const [asked, known] = [names(query), names(item)];
  for (const a of asked) {
    for (const b of known) {
      if (budget.left <= 0) return best;
      budget.left -= a.plain.length * b.plain.length;
      const similarity = compareNames(a, b, phonetic);
      if (!best || similarity > best.similarity) best = { field: 'name', query: a.text, item: b.text, similarity };
      if (similarity === 1) return best;
    }
  }
  return best;
}

/** A name taken apart once for all its comparisons. */
interface Name {
  readonly text: string;
  readonly words: readonly Word[];
  readonly plain: string;
  /** Its words in the order of the alphabet. */
  readonly sorted: string;
  readonly trigrams: ReadonlySet<string>;
}

interface Word {
  readonly text: string;
  readonly sound: string;
}

function nameOf(text: string): Name {
  const parts = words(text);
  const sorted = [...parts].sort().join(' ');
  return {
    text,
    words: parts.map((word) => ({ text: word, sound: sound(word) })),
    plain: parts.join(' '),
    sorted,
    trigrams: trigrams(sorted),
  };
}

/** 1 for the same name in any order and spelling of case, accents and punctuation; the best of three measures below. */
export function nameSimilarity(a: string, b: string, phonetic = true): number {
  return compareNames(nameOf(a), nameOf(b), phonetic);
}

function compareNames(a: Name, b: Name, phonetic: boolean): number {
  // The measures are greedy, so the order is fixed to give the same both ways.
  const [first, second] = a.plain < b.plain ? [a, b] : [b, a];
  if (first.words.length === 0 || second.words.length === 0) return 0;
  if (first.sorted === second.sorted) return 1;
  const letters = 0.4 * dice(first.trigrams, second.trigrams) + 0.6 * jaroWinkler(first.plain, second.plain);
  const aligned = alignWords(first.words, second.words, phonetic);
  // What only sounds or looks alike is never quite the same.
  return Math.min(0.99, Math.max(letters, aligned));
}

/** Each word with the nearest of the other name, by length; words that are left over count against it. */
function alignWords(a: readonly Word[], b: readonly Word[], phonetic: boolean): number {
  const [few, many] = a.length <= b.length ? [a, b] : [b, a];
  const free = new Set(many.keys());
  let score = 0;
  let length = 0;
  for (const word of few) {
    let best = -1;
    let bestAt = -1;
    for (const at of free) {
      const similarity = wordSimilarity(word, many[at] as Word, phonetic);
      if (similarity > best) [best, bestAt] = [similarity, at];
    }
    free.delete(bestAt);
    const weight = Math.max(word.text.length, (many[bestAt] as Word).text.length);
    score += best * weight;
    length += weight;
  }
  for (const at of free) length += 0.5 * (many[at] as Word).text.length;
  return length === 0 ? 0 : score / length;
}

function wordSimilarity({ text: a, sound: soundA }: Word, { text: b, sound: soundB }: Word, phonetic: boolean): number {
  if (a === b) return 1;
  // An initial stands for the name.
  if ((a.length === 1 || b.length === 1) && a[0] === b[0]) return 0.85;
  const spelled = jaroWinkler(a, b);
  if (!phonetic || Math.min(a.length, b.length) < 3) return spelled;
  return soundA !== '' && soundA === soundB ? Math.max(spelled, 0.6 + 0.35 * spelled) : spelled;
}

/** Lower case without accents, every run of anything but letters and digits one space. */
export function normalize(text: string): string {
  return (
    text
      .slice(0, 512)
      // Marks that nobody sees would be breaks between words.
      .replace(/\p{Cf}|(?!\s)\p{Cc}/gu, '')
      .normalize('NFKD')
      .replace(/\p{M}+/gu, '')
      .toLowerCase()
      .replace(/[øðþłßæœđıħ]/g, (letter) => plain[letter] ?? letter)
      .replace(/[^\p{L}\p{N}]+/gu, ' ')
      .trim()
  );
}

const plain: Readonly<Record<string, string>> = {
  ø: 'o',
  ð: 'd',
  þ: 'th',
  ł: 'l',
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  đ: 'd',
  ı: 'i',
  ħ: 'h',
};

function words(text: string): string[] {
  return normalize(text).split(' ').filter(Boolean).slice(0, 16);
}

/** Dice's coefficient over the sets of three letters, padded at both ends. */
export function trigramSimilarity(a: string, b: string): number {
  return dice(trigrams(a), trigrams(b));
}

function dice(first: ReadonlySet<string>, second: ReadonlySet<string>): number {
  if (first.size === 0 || second.size === 0) return 0;
  let common = 0;
  for (const each of first) if (second.has(each)) common++;
  return (2 * common) / (first.size + second.size);
}

export function trigrams(text: string): Set<string> {
  const out = new Set<string>();
  for (const word of words(text)) {
    const padded = `  ${word} `;
    for (let i = 0; i + 3 <= padded.length; i++) out.add(padded.slice(i, i + 3));
  }
  return out;
}

/** Winkler 1990: shared letters near the same place, their order, and a bonus for a common beginning. */
export function jaroWinkler(a: string, b: string): number {
  if (a === b) return 1;
  const reach = Math.max(0, Math.floor(Math.max(a.length, b.length) / 2) - 1);
  const taken = new Uint8Array(b.length);
  const matched: string[] = [];
  for (let i = 0; i < a.length; i++) {
    const end = Math.min(b.length - 1, i + reach);
    for (let j = Math.max(0, i - reach); j <= end; j++) {
      if (taken[j] || a[i] !== b[j]) continue;
      taken[j] = 1;
      matched.push(a[i] as string);
      break;
    }
  }
  if (matched.length === 0) return 0;
  const others = b.split('').filter((_, j) => taken[j]);
  const swapped = matched.filter((letter, i) => letter !== others[i]).length / 2;
  const m = matched.length;
  const jaro = (m / a.length + m / b.length + (m - swapped) / m) / 3;
  let prefix = 0;
  while (prefix < 4 && prefix < a.length && a[prefix] === b[prefix]) prefix++;
  return jaro + prefix * 0.1 * (1 - jaro);
}

/** A rough English and European sound: spellings of one sound become one letter, vowels go but the first. */
export function sound(word: string): string {
  const latin = normalize(word).replace(/[^a-z]/g, '');
  if (latin === '') return '';
  let out = latin;
  for (const [spelling, letter] of spellings) out = out.replace(spelling, letter);
  const first = /^[aeiouy]/.test(out) ? 'a' : '';
  return first + out.replace(/[aeiouyhw]/g, '').replace(/(.)\1+/g, '$1');
}

const spellings: readonly (readonly [RegExp, string])[] = [
  [/^(kn|gn|pn)/, 'n'],
  [/^wr/, 'r'],
  [/^x/, 's'],
  [/tsch|tch|ch|sch|sh|cz/g, 'x'],
  [/ph|v|w(?=[aeiou])/g, 'f'],
  [/ck|q|c(?![eiy])/g, 'k'],
  [/c(?=[eiy])|z|ts/g, 's'],
  [/gh(?![aeiou])/g, ''],
  [/j|dg|g(?=[eiy])/g, 'j'],
  [/dt|th|d/g, 't'],
  [/b/g, 'p'],
  [/x/g, 'x'],
];
