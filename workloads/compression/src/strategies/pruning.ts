// Pruning, only when asked for: drops words within sentences that carry the least information, after Selective Context
// (Li et al. 2023) with the document's own frequencies. Numbers, names, identifiers, negations and the query's words stay.
import type { Document } from '../document.ts';
import type { Span } from '../render.ts';
import { choose } from '../selection.ts';
import type { Strategy, StrategyOutput } from '../strategy.ts';
import { factKinds, scanWords, wordKind } from '../words.ts';
import { coverage } from './extractive.ts';

/** How much more is chosen than fits, to be pruned down: at most about a third of running text is droppable. */
const surplus = 1.3;

export const pruning: Strategy = {
  name: 'pruning',
  compress({ document, budget, query, forced }) {
    const aim = Math.min(document.map.total, Math.floor(budget.most * surplus));
    const wide = choose(
      document,
      { most: aim, least: Math.floor(aim * 0.95), limit: aim },
      coverage(document, query),
      forced,
    );
    const counts = new Uint32Array(document.words.vocabulary.length);
    for (const id of document.words.id) counts[id] = (counts[id] as number) + 1;
    const { words } = document;
    const information = (word: number): number => {
      const frequent = Math.log(words.count / (counts[words.id[word] as number] as number));
      return (words.kind[word] as number) & wordKind.stop ? frequent * 0.3 : frequent + 2;
    };
    const pruned = prune(document, wide.spans, { query, most: budget.most, forced, information });
    // Where too little can be dropped, whole parts are the better choice.
    return pruned ?? choose(document, budget, coverage(document, query), forced);
  },
};

export interface Pruning {
  readonly query: string;
  /** Tokens. */
  readonly most: number;
  /** Units that stay whole. */
  readonly forced: readonly number[];
  /** What a word says; those that say least are dropped first. */
  readonly information: (word: number) => number;
  /** Words that say less are dropped even where they fit. */
  readonly floor?: number;
}

/** Drops as few words as fit the budget; undefined where too few can go. Numbers, names, negations and the query's words stay. */
export function prune(
  { text, words, units, tokenizer }: Document,
  spans: readonly Span[],
  { query, most, forced, information, floor = Number.NEGATIVE_INFINITY }: Pruning,
): StrategyOutput | undefined {
  const spared = forced.map((unit) => units[unit] as { start: number; end: number });
  const asked = new Set(scanWords(query).vocabulary);
  const droppable: { word: number; information: number }[] = [];
  let span = 0;
  let safe = 0;
  for (let i = 0; i < words.count; i++) {
    const start = words.start[i] as number;
    while (span < spans.length && (spans[span] as Span).end <= start) span++;
    while (safe < spared.length && (spared[safe] as { end: number }).end <= start) safe++;
    if (!spans[span]?.kept || (spared[safe] && (spared[safe] as { start: number }).start <= start)) continue;
    const kind = words.kind[i] as number;
    const word = words.vocabulary[words.id[i] as number] as string;
    if (kind & (factKinds | wordKind.negation) || asked.has(word)) continue;
    // Only whole words between spaces, so that no punctuation is orphaned.
    if (!isSpaceAt(text, start - 1) || !isSpaceAt(text, words.end[i] as number)) continue;
    droppable.push({ word: i, information: information(i) });
  }
  droppable.sort((a, b) => a.information - b.information || a.word - b.word);
  const told = droppable.findIndex((each) => each.information >= floor);
  let low = told < 0 ? droppable.length : told;
  let high = droppable.length;
  let best: StrategyOutput | undefined;
  // The fewest words whose absence fits the budget.
  while (low <= high) {
    const middle = (low + high) >> 1;
    const output = without(
      text,
      spans,
      droppable
        .slice(0, middle)
        .map(({ word }) => ({ start: words.start[word] as number, end: (words.end[word] as number) + 1 })),
    );
    if (tokenizer.count(output.text) <= most) {
      best = output;
      high = middle - 1;
    } else low = middle + 1;
  }
  return best;
}

function isSpaceAt(text: string, at: number): boolean {
  return text.charCodeAt(at) === 32;
}

/** Cuts the gaps out of the kept spans; inside a sentence nothing marks them but the spans themselves. */
function without(text: string, spans: readonly Span[], gaps: { start: number; end: number }[]): StrategyOutput {
  gaps.sort((a, b) => a.start - b.start);
  const result: Span[] = [];
  let output = '';
  let next = 0;
  for (const span of spans) {
    if (!span.kept) {
      result.push(span);
      output += span.marker ?? '';
      continue;
    }
    let at = span.start;
    for (; next < gaps.length && (gaps[next] as { start: number }).start < span.end; next++) {
      const gap = gaps[next] as { start: number; end: number };
      const end = Math.min(gap.end, span.end);
      if (gap.start > at) result.push({ start: at, end: gap.start, kept: true });
      output += text.slice(at, gap.start);
      result.push({ start: gap.start, end, kept: false, marker: '' });
      at = end;
    }
    if (at < span.end) result.push({ start: at, end: span.end, kept: true });
    output += text.slice(at, span.end);
  }
  return { text: output, spans: result };
}
