// Lines of the same making: what is constant in them, what varies. After Drain (He et al. 2017): lines of equal length that
// agree in most words share a template. Linear: a line is compared with a bounded number of templates.
import type { Document } from './document.ts';
import { wordKind } from './words.ts';

export interface Template {
  /** Word ids in order; −1 where the lines differ or a number stands. */
  readonly words: Int32Array;
  /** Units made after it. */
  readonly members: number[];
}

const mostCandidates = 24;
const agreement = 0.6;

/** Templates of the units given (all by default), and for each unit its template. */
export function mineTemplates(document: Document): { templates: Template[]; of: Int32Array } {
  const { units, firstWord } = document;
  const templates: Template[] = [];
  const of = new Int32Array(units.length).fill(-1);
  const exact = new Map<string, number>();
  const byLength = new Map<number, number[]>();
  for (let unit = 0; unit < units.length; unit++) {
    const from = firstWord[unit] as number;
    const length = Math.min((firstWord[unit + 1] as number) - from, 64);
    if (length === 0) continue;
    const masked = mask(document, from, length);
    const key = masked.join();
    let found = exact.get(key);
    if (found === undefined) {
      found = nearest(templates, byLength.get(length) ?? [], masked);
      if (found >= 0) generalise((templates[found] as Template).words, masked);
      else {
        found = templates.length;
        templates.push({ words: masked, members: [] });
        // Recent templates only: a log's makes come back soon or are rare.
        byLength.set(length, [...(byLength.get(length) ?? []).slice(1 - mostCandidates), found]);
      }
      if (exact.size < 50_000) exact.set(key, found);
    }
    of[unit] = found;
    (templates[found] as Template).members.push(unit);
  }
  return { templates, of };
}

function mask({ words }: Document, from: number, length: number): Int32Array {
  return Int32Array.from({ length }, (_, i) => {
    const kind = words.kind[from + i] as number;
    const id = words.id[from + i] as number;
    const varies = kind & wordKind.number || (kind & wordKind.identifier && hasDigit(words.vocabulary[id] as string));
    return varies ? -1 : id;
  });
}

function generalise(template: Int32Array, masked: Int32Array): void {
  for (let i = 0; i < masked.length; i++) if (template[i] !== masked[i]) template[i] = -1;
}

function nearest(templates: readonly Template[], candidates: readonly number[], masked: Int32Array): number {
  let best = -1;
  let bestShare = agreement;
  for (const candidate of candidates) {
    const words = (templates[candidate] as Template).words;
    let same = 0;
    let constant = 0;
    for (let i = 0; i < masked.length; i++) {
      if (words[i] === -1 && masked[i] === -1) continue;
      constant++;
      if (words[i] === masked[i] || words[i] === -1) same++;
    }
    const share = constant === 0 ? 1 : same / constant;
    if (share > bestShare) {
      best = candidate;
      bestShare = share;
    }
  }
  return best;
}

function hasDigit(word: string): boolean {
  for (let i = 0; i < word.length; i++) {
    const code = word.charCodeAt(i);
    if (code >= 48 && code <= 57) return true;
  }
  return false;
}
