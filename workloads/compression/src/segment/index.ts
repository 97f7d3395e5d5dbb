// A text into units that tile it, by content type.
import type { ContentType } from '../detect.ts';
import type { TokenMap } from '../tokens.ts';
import type { Unit, UnitKind } from '../unit.ts';
import { parseJson, segmentJson } from './json.ts';
import { continues, eachSentence, firstCharacter, type Line, linesOf, startsItem, wrapColumn } from './sentences.ts';

/**
 * Units of `text`, in order, tiling it. `grain` is the most tokens a unit should have where the text leaves a choice: a
 * JSON container above it is opened into its fields, a hard-wrapped sentence above it into its lines.
 */
export function segment(text: string, type: ContentType, tokens: TokenMap, grain: number): Unit[] {
  if (text.length === 0) return [];
  if (type === 'json') {
    const roots = parseJson(text);
    if (roots) return segmentJson(text, roots, tokens, grain);
  }
  if (type === 'code' || type === 'logs') return segmentIndented(text);
  if (type === 'tabular') return segmentRows(text);
  return segmentProse(text, type, tokens, grain);
}

/** Lines; one that is further in stands under the last one that is less so (a body under its signature, a stack trace under its error). */
function segmentIndented(text: string): Unit[] {
  const units: Unit[] = [];
  const above: { indent: number; unit: number }[] = [];
  for (const line of linesOf(text)) {
    if (line.length === 0) {
      units.push({ start: line.start, end: line.end, kind: 'line', parent: above.at(-1)?.unit ?? -1 });
      continue;
    }
    while (above.length > 0 && (above.at(-1) as { indent: number }).indent >= line.indent) above.pop();
    const parent = above.at(-1)?.unit ?? -1;
    above.push({ indent: line.indent, unit: units.length });
    units.push({ start: line.start, end: line.end, kind: 'line', parent });
  }
  return mergeBlank(text, units);
}

/** Blank lines belong to the line before them: on their own they are never worth keeping. */
function mergeBlank(text: string, units: Unit[]): Unit[] {
  const merged: Unit[] = [];
  const renumbered = new Int32Array(units.length);
  units.forEach((unit, index) => {
    const last = merged[merged.length - 1];
    if (last && text.slice(unit.start, unit.end).trim() === '') merged[merged.length - 1] = { ...last, end: unit.end };
    else merged.push({ ...unit, parent: unit.parent < 0 ? -1 : (renumbered[unit.parent] as number) });
    renumbered[index] = merged.length - 1;
  });
  return merged;
}

function segmentRows(text: string): Unit[] {
  return linesOf(text).map((line, index) => ({
    start: line.start,
    end: line.end,
    kind: index === 0 ? 'heading' : 'row',
    parent: index === 0 ? -1 : 0,
  }));
}

function segmentProse(text: string, type: ContentType, tokens: TokenMap, grain: number): Unit[] {
  const units: Unit[] = [];
  const lines = linesOf(text);
  const column = type === 'dialogue' ? Number.POSITIVE_INFINITY : wrapColumn(lines);
  const headings: { level: number; unit: number }[] = [];
  let fence = '';
  const add = (start: number, end: number, kind: UnitKind): void => {
    const last = units[units.length - 1];
    // White space between paragraphs belongs to what stands before it.
    if (last && isBlank(text, start, end)) units[units.length - 1] = { ...last, end };
    else units.push({ start, end, kind, parent: headings.at(-1)?.unit ?? -1 });
  };
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] as Line;
    if (line.length === 0) {
      add(line.start, line.end, 'line');
      continue;
    }
    const first = firstCharacter(text, line);
    const mark = text.slice(first, first + 3);
    if (fence ? mark === fence : mark === '```' || mark === '~~~') {
      fence = fence ? '' : mark;
      add(line.start, line.end, 'line');
      continue;
    }
    if (fence) {
      add(line.start, line.end, 'line');
      continue;
    }
    const level = headingLevel(text, lines, at, first);
    if (level > 0) {
      while (headings.length > 0 && (headings.at(-1) as { level: number }).level >= level) headings.pop();
      add(line.start, line.end, 'heading');
      headings.push({ level, unit: units.length - 1 });
      continue;
    }
    if (text.charCodeAt(first) === 124) {
      add(line.start, line.end, 'row');
      continue;
    }
    let end = line.end;
    while (at + 1 < lines.length && continues(text, lines[at] as Line, lines[at + 1] as Line, column)) {
      end = (lines[++at] as Line).end;
    }
    addParagraph(text, line.start, end, tokens, grain, add);
  }
  return units;
}

type Add = (start: number, end: number, kind: UnitKind) => void;

function addParagraph(text: string, start: number, end: number, tokens: TokenMap, grain: number, add: Add): void {
  eachSentence(text, start, end, (from, to) => {
    if (tokens.between(from, to) <= grain) return add(from, to, 'sentence');
    for (const line of linesOf(text, from, to)) add(line.start, line.end, 'line');
  });
}

function isBlank(text: string, start: number, end: number): boolean {
  return text.slice(start, end).trim() === '';
}

/** 0 when the line is no heading: `## title`, an underlined title, or (in manuals) a line in capitals at the margin. */
function headingLevel(text: string, lines: readonly Line[], at: number, first: number): number {
  const line = lines[at] as Line;
  if (text.charCodeAt(first) === 35) {
    let hashes = first;
    while (text.charCodeAt(hashes) === 35) hashes++;
    return hashes - first <= 6 && text.charCodeAt(hashes) === 32 ? hashes - first : 0;
  }
  const next = lines[at + 1];
  if (next && next.length >= 3 && line.length < 100 && line.indent === 0) {
    const under = text.slice(firstCharacter(text, next), firstCharacter(text, next) + next.length);
    if (isRunOf(under, '=')) return 1;
    if (isRunOf(under, '-')) return 2;
  }
  if (line.indent > 0 || line.length > 60 || startsItem(text, line)) return 0;
  const title = text.slice(first, first + line.length);
  return title === title.toUpperCase() && title !== title.toLowerCase() && !/[.:;,\d]$/.test(title) ? 2 : 0;
}

function isRunOf(text: string, character: string): boolean {
  for (let i = 0; i < text.length; i++) if (text[i] !== character) return false;
  return text.length > 0;
}
