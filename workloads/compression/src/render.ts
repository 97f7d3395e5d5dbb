// Kept units back into text: whole pieces of the source in their order, with a marker wherever something was left out.

import type { Document } from './document.ts';

/** A part of the source; together the spans of a result tile it. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly kept: boolean;
  /** What stands in the output instead of an elided part. */
  readonly marker?: string;
}

export interface Rendered {
  readonly text: string;
  readonly spans: readonly Span[];
}

export function render({ text, units, addressed }: Document, kept: Uint8Array): Rendered {
  const spans: Span[] = [];
  let output = '';
  for (let at = 0; at < units.length; ) {
    const keep = kept[at] === 1;
    const first = at;
    while (at < units.length && (kept[at] === 1) === keep) at++;
    const start = (units[first] as { start: number }).start;
    const end = (units[at - 1] as { end: number }).end;
    if (keep) {
      spans.push({ start, end, kept: true });
      output += text.slice(start, end);
    } else {
      const marker = markerOf(start, end, addressed) + spaceAfter(text, end);
      spans.push({ start, end, kept: false, marker });
      output += marker;
    }
  }
  return { text: output, spans };
}

/** The text a list of spans stands for: the law every result keeps (after `expand` where there is a legend). */
export function textOfSpans(source: string, spans: readonly Span[]): string {
  return spans.map((span) => (span.kept ? source.slice(span.start, span.end) : (span.marker ?? ''))).join('');
}

/** An ellipsis; with the offsets of what it stands for, so that who reads the text alone can ask for that. */
export function markerOf(start: number, end: number, addressed: boolean): string {
  return addressed ? `…[${start}-${end}]` : '…';
}

/** An addressed marker wherever it stands. Its numbers are bounded, so that a text of digits takes no longer than any other. */
export const addressedMarker = /…\[\d{1,12}-\d{1,12}\]/;

/** A marker has a line of its own where whole lines are missing. */
function spaceAfter(text: string, end: number): string {
  if (end >= text.length) return '';
  return text.charCodeAt(end - 1) === 10 ? '\n' : ' ';
}

/** Tokens that one marker costs, at most. */
export function markerCost({ text, tokenizer, addressed }: Document): number {
  return tokenizer.count(`${markerOf(text.length, text.length, addressed)}\n`);
}
