// The order of variants: those that keep the rules first, then those that say most of what the brief asks for.
import type { Brief } from './brief.ts';
import { type Check, normalised } from './checks.ts';

export interface Scored {
  text: string;
  checks: Check[];
  /** 0 to 1: half for the rules kept, the rest for facts told, the product named and the reader asked to act. */
  score: number;
}

export function scored(text: string, given: Brief, checks: Check[]): Scored {
  const kept = checks.filter(({ passed }) => passed).length / checks.length;
  const told = given.facts.length === 0 ? 1 : mean(given.facts.map((fact) => overlap(text, fact)));
  const named = normalised(text).includes(normalised(given.product)) ? 1 : overlap(text, given.product);
  const asked = given.callToAction === undefined ? 1 : overlap(text, given.callToAction);
  return { text, checks, score: Number((0.5 * kept + 0.3 * told + 0.1 * named + 0.1 * asked).toFixed(4)) };
}

/** Best first; equal ones in their order. */
export function ranked<T extends Scored>(variants: readonly T[]): T[] {
  return variants.toSorted((a, b) => b.score - a.score);
}

/** Share of the words of `wanted`, those of four letters or more and numbers, that stand in `text`. */
function overlap(text: string, wanted: string): number {
  const words = [...new Set(wordsOf(wanted))];
  if (words.length === 0) return 1;
  const within = new Set(wordsOf(text));
  return words.filter((word) => within.has(word)).length / words.length;
}

function wordsOf(text: string): string[] {
  return (normalised(text).match(/[\p{L}\p{N}]+/gu) ?? []).filter((word) => word.length > 3 || /\d/.test(word));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
