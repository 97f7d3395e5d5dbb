// Frequency: phrases that come again and again are written once in a legend and named by a symbol where they stood.
// `expand` gives back the whole parts of the source that the symbols stand for.
import type { Document } from '../document.ts';
import type { Rendered } from '../render.ts';
import type { Budget } from '../selection.ts';
import { choose } from '../selection.ts';
import type { Strategy, StrategyInput, StrategyOutput } from '../strategy.ts';
import { coverage } from './extractive.ts';

export interface LegendEntry {
  readonly symbol: string;
  readonly phrase: string;
}

export const frequency: Strategy = {
  name: 'frequency',
  compress(input) {
    const sign = ['§', '¤', '¶', '‡'].find((each) => !input.document.text.includes(each));
    const plain = choose(input.document, input.budget, coverage(input.document, input.query), input.forced);
    return sign === undefined ? plain : withLegend(input, sign, plain);
  },
};

/** The text without its legend, phrases in place of symbols. */
export function expand(text: string, legend: readonly LegendEntry[] | undefined): string {
  if (!legend || legend.length === 0) return text;
  const phrases = new Map(legend.map(({ symbol, phrase }) => [symbol, phrase]));
  const body = text.slice(legend.reduce((sum, entry) => sum + legendLine(entry).length, 0));
  const sign = (legend[0] as LegendEntry).symbol[0] as string;
  return body.replace(new RegExp(`${sign}\\d{1,2}`, 'g'), (symbol) => phrases.get(symbol) ?? symbol);
}

/** What the legend saves is spent on more of the source, until the budget is used again. */
function withLegend({ document, budget, query, forced }: StrategyInput, sign: string, plain: Rendered): StrategyOutput {
  const total = document.map.total;
  let best: { output: StrategyOutput; tokens: number } = {
    output: plain,
    tokens: document.tokenizer.count(plain.text),
  };
  let aim = budget.most;
  for (let round = 0; round < 4; round++) {
    const wider: Budget = { most: aim, least: Math.floor(aim * 0.97), limit: aim };
    const whole = aim >= total;
    const rendered = whole
      ? { text: document.text, spans: [{ start: 0, end: document.text.length, kept: true }] }
      : choose(document, wider, coverage(document, query), forced);
    const output = factor(rendered, document, sign, forced);
    const tokens = document.tokenizer.count(output.text);
    const fits = tokens <= budget.most;
    if (fits && (best.tokens > budget.most || keptCharacters(output) > keptCharacters(best.output)))
      best = { output, tokens };
    if ((fits && tokens >= budget.least) || (fits && whole)) break;
    aim = Math.max(1, Math.floor((aim * budget.most) / Math.max(tokens, 1)));
  }
  return best.output;
}

function keptCharacters({ spans }: Rendered): number {
  return spans.reduce((sum, span) => sum + (span.kept ? span.end - span.start : 0), 0);
}

const longestPhrase = 24;
const mostPhrases = 40;

function factor(rendered: Rendered, document: Document, sign: string, forced: readonly number[]): StrategyOutput {
  const { tokenizer } = document;
  const pieces = piecesOf(rendered.text);
  const taken = protectedPieces(rendered, document, pieces, forced);
  const symbolAt = new Map<number, { symbol: string; length: number }>();
  const legend: LegendEntry[] = [];
  for (const length of [16, 8, 5, 3]) {
    for (const starts of repeats(pieces, taken, length)) {
      if (legend.length >= mostPhrases) break;
      const free = starts.filter((start) => isFree(taken, start, length));
      if (free.length < 2) continue;
      const reach = extend(pieces, taken, free, length);
      const first = free[0] as number;
      const phrase = pieces.slice(first, first + reach).join('');
      const symbol = `${sign}${legend.length + 1}`;
      const entry = { symbol, phrase: phrase.trim() };
      const lead = phrase.length - phrase.trimStart().length;
      // Only the same white space before the phrase can be put back, so it stays outside the symbol.
      if (entry.phrase.length < 8 || phrase.length - lead !== entry.phrase.length) continue;
      const saved = free.length * (tokenizer.count(` ${entry.phrase}`) - tokenizer.count(` ${symbol}`));
      if (saved <= tokenizer.count(legendLine(entry)) + 1) continue;
      legend.push(entry);
      for (const start of free) {
        if (!isFree(taken, start, reach)) continue;
        taken.fill(1, start, start + reach);
        symbolAt.set(start, { symbol, length: reach });
      }
    }
  }
  if (legend.length === 0) return rendered;
  let body = '';
  for (let at = 0; at < pieces.length; ) {
    const replaced = symbolAt.get(at);
    if (!replaced) {
      body += pieces[at++];
      continue;
    }
    const piece = pieces[at] as string;
    body += piece.slice(0, piece.length - piece.trimStart().length) + replaced.symbol;
    at += replaced.length;
    // A digit right after the symbol would be read as part of it; pieces begin with white space, so none follows.
  }
  return { text: legend.map(legendLine).join('') + body, spans: rendered.spans, legend };
}

/** 1 for each piece of the output that touches a unit which must come out as it is. */
function protectedPieces(
  { spans }: Rendered,
  { units }: Document,
  pieces: readonly string[],
  forced: readonly number[],
): Uint8Array<ArrayBuffer> {
  const taken = new Uint8Array(pieces.length);
  let next = 0;
  let piece = 0;
  let pieceStart = 0;
  let outputStart = 0;
  for (const { start, end, kept, marker = '' } of spans) {
    for (; kept && next < forced.length && (units[forced[next] as number] as { start: number }).start < end; next++) {
      const unit = units[forced[next] as number] as { start: number; end: number };
      const from = outputStart + Math.max(unit.start, start) - start;
      const to = outputStart + Math.min(unit.end, end) - start;
      while (piece < pieces.length && pieceStart + (pieces[piece] as string).length <= from)
        pieceStart += (pieces[piece++] as string).length;
      for (let i = piece, at = pieceStart; i < pieces.length && at < to; at += (pieces[i++] as string).length)
        taken[i] = 1;
    }
    outputStart += kept ? end - start : marker.length;
  }
  return taken;
}

function legendLine({ symbol, phrase }: LegendEntry): string {
  return `${symbol} = ${phrase}\n`;
}

/** White space and the word after it; a newline is a piece of its own, so that no phrase runs over lines. */
function piecesOf(text: string): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; ) {
    const from = at;
    if (text.charCodeAt(at) === 10) at++;
    else {
      while (at < text.length && (text.charCodeAt(at) === 32 || text.charCodeAt(at) === 9)) at++;
      while (at < text.length && text.charCodeAt(at) > 32) at++;
      if (at === from) at++;
    }
    pieces.push(text.slice(from, at));
  }
  return pieces;
}

/** Starts of the sequences of `length` pieces that occur more than once, the most frequent first. */
function repeats(pieces: readonly string[], taken: Uint8Array, length: number): number[][] {
  const found = new Map<string, number[]>();
  for (let at = 0; at + length <= pieces.length; at++) {
    if (!isFree(taken, at, length) || pieces.slice(at, at + length).includes('\n')) continue;
    const key = pieces
      .slice(at, at + length)
      .join('')
      .trimStart();
    const starts = found.get(key);
    if (!starts) found.set(key, [at]);
    else if (at >= (starts[starts.length - 1] as number) + length) starts.push(at);
  }
  return [...found.values()]
    .filter((starts) => starts.length > 1)
    .sort((a, b) => b.length - a.length || (a[0] as number) - (b[0] as number))
    .slice(0, 200);
}

function isFree(taken: Uint8Array, start: number, length: number): boolean {
  for (let i = start; i < start + length; i++) if (taken[i]) return false;
  return start + length <= taken.length;
}

/** How many pieces all occurrences have in common from their starts on. */
function extend(pieces: readonly string[], taken: Uint8Array, starts: readonly number[], from: number): number {
  let length = from;
  while (length < longestPhrase) {
    const next = pieces[(starts[0] as number) + length];
    if (next === undefined || next === '\n') break;
    const gap = starts.every((start, i) => i === 0 || start - (starts[i - 1] as number) > length);
    if (!gap || !starts.every((start) => pieces[start + length] === next && isFree(taken, start, length + 1))) break;
    length++;
  }
  return length;
}
