// What a text is: its type, its language, and scores a caller can act on. Everything is read from a bounded sample of
// whole lines, taken over the full length, so that the cost does not grow with the text.
import { parseJson } from './segment/json.ts';
import { type Line, linesOf } from './segment/sentences.ts';
import { scanWords, stopWords, wordKind } from './words.ts';

export const contentTypes = [
  'prose',
  'code',
  'json',
  'logs',
  'markdown',
  'scientific',
  'legal',
  'tabular',
  'dialogue',
] as const;
export type ContentType = (typeof contentTypes)[number];

export interface Analysis {
  type: ContentType;
  /** ISO 639-1 code, or `und` when nothing speaks for one; for code, of its comments. */
  language: string;
  /** 0 (short words and sentences) to 1. */
  complexity: number;
  /** Share of words that stand in a three-word sequence seen before: 0 to 1. */
  repetition: number;
  /** Share of words that are identifiers, numbers or long terms: 0 to 1. */
  technical: number;
  /** Up to ten of the technical terms, the most frequent first. */
  terms: string[];
}

const sampleLines = 400;
const longestLine = 2000;

export function analyse(text: string): Analysis {
  const lines = sample(linesOf(text));
  const rows = lines.map((line) => text.slice(line.start, Math.min(line.end, line.start + longestLine)));
  const body = rows.join('');
  return { type: typeOf(text, rows), language: languageOf(body), ...scores(body) };
}

/** All lines of a short text, else blocks of lines at equal distances. */
function sample(lines: readonly Line[]): readonly Line[] {
  if (lines.length <= sampleLines) return lines;
  const block = 20;
  const blocks = sampleLines / block;
  const taken: Line[] = [];
  for (let i = 0; i < blocks; i++) {
    const from = Math.floor((i * (lines.length - block)) / (blocks - 1));
    taken.push(...lines.slice(from, from + block));
  }
  return taken;
}

function typeOf(text: string, rows: readonly string[]): ContentType {
  const first = text.trimStart().charCodeAt(0);
  if ((first === 123 || first === 91) && parseJson(text)) return 'json';
  const filled = rows.filter((row) => row.trim().length > 0);
  if (filled.length === 0) return 'prose';
  const share = (test: (row: string) => boolean): number => filled.filter(test).length / filled.length;
  if (share(isLogLine) > 0.4) return 'logs';
  if (isTabular(filled)) return 'tabular';
  const markdown =
    share((row) => /^(#{1,6} |```|~~~|\s{0,6}[-*+] |\s{0,3}\d{1,3}[.)] |\||> |\[[^\]]{1,80}\]: )/.test(row)) +
    share((row) => row.includes('](') || row.includes('**')) * 0.5;
  const headings = filled.filter((row) => /^#{1,6} \S/.test(row)).length;
  const fenced = filled.some((row) => row.startsWith('```'));
  if ((headings > 0 && markdown > 0.04 && (fenced || share(isCodeLine) < 0.5)) || (fenced && markdown > 0.1))
    return 'markdown';
  if (share(isCodeLine) > 0.35) return 'code';
  if (
    filled.length >= 4 &&
    share((row) => /^\s{0,4}(\[[\d: apmAPM-]{3,20}\] )?[\p{Lu}@][\p{L}\p{N}_. @-]{0,30}:\s\S/u.test(row)) > 0.5
  )
    return 'dialogue';
  const perWords = (expression: RegExp): number => {
    let hits = 0;
    let words = 0;
    for (const row of filled) {
      hits += row.match(expression)?.length ?? 0;
      words += row.length / 6;
    }
    return (hits * 1000) / Math.max(words, 100);
  };
  if (
    perWords(
      /\b(shall|hereby|herein|hereof|hereunder|thereof|pursuant|licensee|licensor|warrant(?:y|ies)|liabilit(?:y|ies)|indemnif\w{1,6}|notwithstanding|agreement|jurisdiction)\b/gi,
    ) > 12
  )
    return 'legal';
  if (
    perWords(
      /\b(et al\b|abstract|hypothes[ie]s|experiments?|dataset|fig\.|theorem|lemma|p ?[<=] ?0|significant(?:ly)?|methods?)|\[\d{1,3}(?:, ?\d{1,3}){0,5}\]/gi,
    ) > 14
  )
    return 'scientific';
  return 'prose';
}

const level = /\b(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|ERR|FATAL|CRITICAL|SEVERE)\b/;
const clock = /\d{2}:\d{2}:\d{2}|\b\d{10,13}\b/;
function isLogLine(row: string): boolean {
  const head = row.slice(0, 80);
  return clock.test(head) || (level.test(head) && /\d|\[|:/.test(head));
}

function isCodeLine(row: string): boolean {
  const line = row.trimEnd();
  const last = line.charCodeAt(line.length - 1);
  // ; { } ) , at the end, or a keyword of a common language at the start.
  if (last === 59 || last === 123 || last === 125) return true;
  return /^\s{0,40}(import |from \w|export |const |let |var |function\b|class |def |return\b|if ?\(|for ?\(|while ?\(|else\b|elif |try\b|except|#include|#define|package |public |private |static |async |await |func |fn |pub |use |\/\/|\/\*|\*\/|\* |\}|@\w)/.test(
    line.slice(0, 80),
  );
}

function isTabular(rows: readonly string[]): boolean {
  if (rows.length < 3) return false;
  for (const delimiter of ['\t', ',', ';', '|']) {
    const counts = rows.map((row) => countOf(row, delimiter));
    const usual = counts[Math.floor(counts.length / 2)] as number;
    if (usual < 2) continue;
    const same = counts.filter((count) => count === usual).length / counts.length;
    const spaced = rows.filter((row) => row.includes(`${delimiter} `)).length / rows.length;
    if (same > 0.8 && (delimiter !== ',' || spaced < 0.5)) return true;
  }
  return false;
}

function countOf(row: string, character: string): number {
  let count = 0;
  for (let at = row.indexOf(character); at >= 0; at = row.indexOf(character, at + 1)) count++;
  return count;
}

const scripts: [RegExp, string][] = [
  [/[\p{Script=Hiragana}\p{Script=Katakana}]/u, 'ja'],
  [/\p{Script=Hangul}/u, 'ko'],
  [/\p{Script=Han}/u, 'zh'],
  [/\p{Script=Arabic}/u, 'ar'],
  [/\p{Script=Hebrew}/u, 'he'],
  [/\p{Script=Cyrillic}/u, 'ru'],
  [/\p{Script=Greek}/u, 'el'],
  [/\p{Script=Devanagari}/u, 'hi'],
  [/\p{Script=Thai}/u, 'th'],
];
const markers: [string, Set<string>][] = (
  [
    ['en', 'the of and to in is that for it with as was on are this be by from or'],
    ['de', 'der die und das ist nicht ein eine zu den von mit sich auf für im dem auch'],
    ['fr', 'le la les des est et un une dans que pour qui pas sur au du avec ce'],
    ['es', 'el los las una que es por con para del como más pero su al y en'],
    ['it', 'il di che è non per una con sono del della gli anche come nel i'],
    ['pt', 'o os uma que não para com em do da dos mais como ao é e'],
    ['nl', 'de het een van en dat niet te zijn op voor met die ook aan er'],
    ['sv', 'och att det som en är på av för med den inte till ett har'],
    ['pl', 'się nie na jest że do to jak ale po przez jest są od dla'],
  ] as const
).map(([code, words]) => [code, new Set(words.split(' '))]);

function languageOf(sampled: string): string {
  const part = sampled.slice(0, 20_000);
  const letters = part.match(/\p{L}/gu) ?? [];
  if (letters.length === 0) return 'und';
  for (const [script, code] of scripts) {
    const hits = letters.filter((letter) => script.test(letter)).length / letters.length;
    if (hits > (code === 'ja' ? 0.1 : 0.3)) return code;
  }
  const words = part.toLowerCase().match(/\p{L}+/gu) ?? [];
  let best = 'und';
  let bestShare = 0.05;
  for (const [code, set] of markers) {
    const share = words.filter((word) => set.has(word)).length / Math.max(words.length, 1);
    if (share > bestShare) {
      best = code;
      bestShare = share;
    }
  }
  return best;
}

function scores(sampled: string): Pick<Analysis, 'complexity' | 'repetition' | 'technical' | 'terms'> {
  const words = scanWords(sampled.slice(0, 60_000));
  if (words.count === 0) return { complexity: 0, repetition: 0, technical: 0, terms: [] };
  const seen = new Set<number>();
  const frequency = new Map<number, number>();
  let repeated = 0;
  let technical = 0;
  let characters = 0;
  for (let i = 0; i < words.count; i++) {
    const id = words.id[i] as number;
    const length = (words.end[i] as number) - (words.start[i] as number);
    characters += length;
    if (i >= 2) {
      const trigram = (words.id[i - 2] as number) * 0x1_0000_0001 + (words.id[i - 1] as number) * 65_537 + id;
      if (seen.has(trigram)) repeated++;
      else seen.add(trigram);
    }
    const kind = words.kind[i] as number;
    const term = (kind & wordKind.identifier) !== 0 || (length >= 10 && !stopWords.has(words.vocabulary[id] as string));
    if (term || kind & wordKind.number) technical++;
    if (term) frequency.set(id, (frequency.get(id) ?? 0) + 1);
  }
  const variety = words.vocabulary.length / Math.sqrt(words.count * 30);
  const complexity = clamp((characters / words.count - 3) / 5) * 0.6 + clamp(variety) * 0.4;
  const terms = [...frequency].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, 10);
  return {
    complexity: round(complexity),
    repetition: round(repeated / words.count),
    technical: round(technical / words.count),
    terms: terms.map(([id]) => words.vocabulary[id] as string),
  };
}

function clamp(value: number): number {
  return Math.max(0, Math.min(1, value));
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
