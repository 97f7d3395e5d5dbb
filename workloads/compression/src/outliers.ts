// What is unlike the rest: log lines of a rare making, values far from their column's, records with a field of their own.
// One test for columns serves log parameters, JSON fields and table cells.
import type { Document } from './document.ts';
import { type JsonNode, parseJson } from './segment/json.ts';
import { mineTemplates } from './templates.ts';
import { wordKind } from './words.ts';

/** 0 (ordinary) to 1 per unit; all 0 for types whose parts are not alike to begin with. */
export function outliers(document: Document): Float64Array {
  const scores = new Float64Array(document.units.length);
  if (document.type === 'logs') logOutliers(document, scores);
  else if (document.type === 'json') jsonOutliers(document, scores);
  else if (document.type === 'tabular') tableOutliers(document, scores);
  return scores;
}

const fewest = 12;
const rareShare = 0.02;

/**
 * Places in a column whose value is rare: another value where nearly all are the same few, or a number far from the median.
 */
export function columnOutliers(values: readonly string[]): { index: number; score: number }[] {
  if (values.length < fewest) return [];
  const rare = rareValues(values);
  const found: { index: number; score: number }[] = [];
  if (rare) {
    values.forEach((value, index) => {
      if (rare.has(value)) found.push({ index, score: 0.9 });
    });
    return found;
  }
  const numbers = values.map(numeric);
  const present = numbers.filter((number) => !Number.isNaN(number));
  if (present.length < values.length * 0.8) return [];
  const far = farFromMedian(present);
  numbers.forEach((number, index) => {
    const score = far(number);
    if (score > 0) found.push({ index, score });
  });
  return found.length <= values.length * 0.06 ? found : [];
}

/**
 * Scores numbers far from the median, measured by the median absolute deviation and by how far the other 94 % reach (random
 * numbers, evenly spread, have no outliers). Above the median on a log scale where none is negative: times and sizes have
 * long tails.
 */
function farFromMedian(numbers: readonly number[]): (value: number) => number {
  const positive = numbers.every((number) => number >= 0);
  const scales = positive ? [(number: number) => number, Math.log1p] : [(number: number) => number];
  const tests = scales.map((scale) => {
    const sorted = Float64Array.from(numbers, scale).sort();
    const median = sorted[sorted.length >> 1] as number;
    const deviations = sorted.map((value) => Math.abs(value - median)).sort();
    const spread = Math.max(deviations[deviations.length >> 1] as number, 1e-9);
    const reach = deviations[Math.floor(deviations.length * 0.94)] as number;
    return (value: number): number => {
      const distance = Math.abs(scale(value) - median);
      return distance > spread * 4 && distance > reach * 1.8 + 1e-9 ? Math.min(1, 0.6 + distance / (spread * 40)) : 0;
    };
  });
  return (value) => (Number.isNaN(value) ? 0 : Math.min(...tests.map((test) => test(value))));
}

/** In a column of few values, those that are rare (6 % together, each a third of any other at most); undefined in other columns. */
function rareValues(values: readonly string[]): Set<string> | undefined {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const sorted = [...counts].sort((a, b) => a[1] - b[1]);
  const rare = new Set<string>();
  let together = 0;
  let largest = 0;
  for (const [value, count] of sorted) {
    if (together + count > Math.max(1, values.length * 0.06)) break;
    together += count;
    largest = count;
    rare.add(value);
  }
  const next = sorted[rare.size]?.[1] ?? 0;
  const usual = sorted.length - rare.size;
  return next >= largest * 3 && usual >= 1 && usual <= Math.max(8, values.length * 0.1) ? rare : undefined;
}

function numeric(value: string): number {
  return value.length <= 24 && /^-?\d{1,15}(\.\d{1,9})?[a-z%]{0,3}$/i.test(value)
    ? Number.parseFloat(value)
    : Number.NaN;
}

const alarming = new Set(
  'error err fatal critical severe panic exception traceback fail failed failure refused denied warn warning alert emergency'.split(
    ' ',
  ),
);

function logOutliers(document: Document, scores: Float64Array): void {
  const { words, firstWord, units } = document;
  const { templates } = mineTemplates(document);
  const total = units.length;
  const usual = Math.max(2, Math.floor(total * rareShare));
  const alarms = new Set<number>();
  for (let unit = 0; unit < total; unit++) {
    const end = Math.min(firstWord[unit + 1] as number, (firstWord[unit] as number) + 24);
    for (let i = firstWord[unit] as number; i < end; i++) {
      if (alarming.has(words.vocabulary[words.id[i] as number] as string)) alarms.add(unit);
    }
  }
  const alarm = alarms.size <= total * 0.15 ? 1 : 0.3;
  for (const { members } of templates) {
    if (members.length <= usual) {
      for (const unit of members)
        scores[unit] = Math.max(scores[unit] as number, 0.75 - (0.25 * (members.length - 1)) / usual);
      continue;
    }
    if (members.length < fewest) continue;
    const length = (firstWord[(members[0] as number) + 1] as number) - (firstWord[members[0] as number] as number);
    for (let column = headerLength(document, members[0] as number); column < Math.min(length, 64); column++) {
      const values = members.map(
        (unit) => words.vocabulary[words.id[(firstWord[unit] as number) + column] as number] as string,
      );
      for (const { index, score } of columnOutliers(values)) {
        const unit = members[index] as number;
        scores[unit] = Math.max(scores[unit] as number, score);
      }
    }
  }
  for (const unit of alarms) scores[unit] = Math.max((scores[unit] as number) * 1.3, alarm);
}

/** Words of the time stamp: hours and dates roll over and are no outliers for it. */
function headerLength({ words, firstWord }: Document, unit: number): number {
  let count = 0;
  const from = firstWord[unit] as number;
  while (
    from + count < (firstWord[unit + 1] as number) &&
    count < 10 &&
    (words.kind[from + count] as number) & wordKind.number
  )
    count++;
  return count;
}

function jsonOutliers(document: Document, scores: Float64Array): void {
  const roots = parseJson(document.text);
  if (!roots) return;
  const pending: (readonly JsonNode[])[] = [roots];
  for (let siblings = pending.pop(); siblings; siblings = pending.pop()) {
    for (const node of siblings) if (node.children) pending.push(node.children);
    const records = siblings.filter((node) => node.children && document.text.charCodeAt(node.inside - 1) === 123);
    if (records.length >= fewest && records.length === siblings.length) recordOutliers(document, records, scores);
    else if (siblings.length >= fewest && siblings.every((node) => !node.children)) {
      const values = siblings.map((node) => document.text.slice(node.start, Math.min(node.end, node.start + 64)));
      for (const { index, score } of columnOutliers(values))
        raise(document, siblings[index] as JsonNode, score, scores);
    }
  }
}

function recordOutliers(document: Document, records: readonly JsonNode[], scores: Float64Array): void {
  const columns = new Map<string, { record: JsonNode; field: JsonNode; value: string }[]>();
  for (const record of records) {
    for (const field of record.children as JsonNode[]) {
      const [key, value] = keyAndValue(document.text, field);
      const column = columns.get(key);
      const cell = { record, field, value: field.children ? (field.children.length > 0 ? '[…]' : '[]') : value };
      if (column) column.push(cell);
      else columns.set(key, [cell]);
    }
  }
  const seldom = Math.max(1, Math.floor(records.length * rareShare));
  for (const cells of columns.values()) {
    if (cells.length <= seldom) for (const cell of cells) raise(document, cell.field, 0.9, scores);
    for (const { index, score } of columnOutliers(cells.map((cell) => cell.value))) {
      const { record, field } = cells[index] as (typeof cells)[number];
      raise(document, field, score, scores);
      // The first field of a record mostly names it.
      const first = record.children?.[0];
      if (first && first !== field) raise(document, first, score * 0.6, scores);
    }
  }
}

function keyAndValue(text: string, field: JsonNode): [string, string] {
  const source = text.slice(field.start, Math.min(field.end, field.start + 256));
  const close = source.charCodeAt(0) === 34 ? source.indexOf('"', 1) : -1;
  if (close < 0) return ['', source];
  const value = source.slice(close + 1).replace(/^\s{0,8}:\s{0,8}/, '');
  return [source.slice(1, close), value.startsWith('"') ? value.slice(1, -1) : value];
}

function tableOutliers(document: Document, scores: Float64Array): void {
  const rows = document.units.map((unit) => document.text.slice(unit.start, unit.end).trimEnd());
  const delimiter = ['\t', ';', '|', ','].find((each) => (rows[0] ?? '').includes(each)) ?? ',';
  const cells = rows.map((row) => row.split(delimiter, 64));
  const width = cells[0]?.length ?? 0;
  for (let column = 0; column < width; column++) {
    for (const { index, score } of columnOutliers(cells.slice(1).map((row) => row[column]?.trim() ?? ''))) {
      scores[index + 1] = Math.max(scores[index + 1] as number, score);
    }
  }
  cells.forEach((row, index) => {
    if (index > 0 && row.length !== width) scores[index] = 1;
  });
}

/** Raises the score of the unit that holds the start of a node. */
function raise({ units }: Document, node: JsonNode, score: number, scores: Float64Array): void {
  let low = 0;
  let high = units.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((units[middle] as { start: number }).start <= node.start) low = middle;
    else high = middle - 1;
  }
  scores[low] = Math.max(scores[low] as number, score);
}
