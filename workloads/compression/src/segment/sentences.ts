// Sentences with exact offsets, in any script, and where a hard-wrapped paragraph's lines belong together.

/** Calls `found(start, end)` for sentences that tile text[start, end); white space after a sentence belongs to it. */
export function eachSentence(
  text: string,
  start: number,
  end: number,
  found: (start: number, end: number) => void,
): void {
  let from = start;
  for (let at = start; at < end; at++) {
    if (!endsSentence(text, at, from, end)) continue;
    let to = at + 1;
    while (to < end && isCloser(text.charCodeAt(to))) to++;
    while (to < end && isSpace(text.charCodeAt(to))) to++;
    found(from, to);
    from = to;
    at = to - 1;
  }
  if (from < end) found(from, end);
}

function endsSentence(text: string, at: number, from: number, end: number): boolean {
  const code = text.charCodeAt(at);
  if (endsAnywhere(code)) return true;
  // . ! ? ‽ end a sentence before white space only.
  if (code !== 46 && code !== 33 && code !== 63 && code !== 0x203d) return false;
  let next = at + 1;
  while (next < end && isCloser(text.charCodeAt(next))) next++;
  if (next >= end) return true;
  if (!isSpace(text.charCodeAt(next))) return false;
  while (next < end && isSpace(text.charCodeAt(next))) next++;
  if (next >= end) return true;
  if (code === 46 && isAbbreviation(text, at, from)) return false;
  const following = text.charCodeAt(next);
  return following < 97 || following > 122;
}

/** 。！？｡ ؟ ۔ । ॥ */
function endsAnywhere(code: number): boolean {
  if (code < 0x61f) return false;
  if (code === 0x3002 || code === 0xff01 || code === 0xff1f || code === 0xff61) return true;
  return code === 0x61f || code === 0x6d4 || code === 0x964 || code === 0x965;
}

const abbreviations = new Set(
  'mr mrs ms dr prof sr jr st vs etc eg ie cf al fig eq no vol pp ed inc ltd co corp dept approx est ca art sec ch jan feb mar apr jun jul aug sep sept oct nov dec'.split(
    ' ',
  ),
);

function isAbbreviation(text: string, at: number, from: number): boolean {
  let back = at;
  while (back > from && at - back < 6 && isLetter(text.charCodeAt(back - 1))) back--;
  const word = text.slice(back, at).toLowerCase();
  if (word.length === 0) return false;
  if (word.length === 1) return back > from && (text.charCodeAt(back - 1) === 46 || text.charCodeAt(back) < 97);
  return abbreviations.has(word);
}

export interface Line {
  start: number;
  /** Just after the newline. */
  end: number;
  /** Columns before the first character; a tab counts 8. */
  indent: number;
  /** Characters from the first to the last that is not white space; 0 for a blank line. */
  length: number;
}

export function linesOf(text: string, start = 0, end = text.length): Line[] {
  const lines: Line[] = [];
  for (let from = start; from < end; ) {
    const newlineAt = text.indexOf('\n', from);
    const to = newlineAt < 0 || newlineAt >= end ? end : newlineAt + 1;
    let at = from;
    let indent = 0;
    while (at < to && isSpace(text.charCodeAt(at))) indent += text.charCodeAt(at++) === 9 ? 8 : 1;
    let last = to;
    while (last > at && isSpace(text.charCodeAt(last - 1))) last--;
    lines.push({ start: from, end: to, indent, length: last - at });
    from = to;
  }
  return lines;
}

/** The column at which a text seems wrapped, or infinity: 95 % of its lines end there or before. */
export function wrapColumn(lines: readonly Line[]): number {
  const widths = lines.filter((line) => line.length > 0).map((line) => line.indent + line.length);
  if (widths.length < 3) return Number.POSITIVE_INFINITY;
  widths.sort((a, b) => a - b);
  const column = widths[Math.floor(widths.length * 0.95)] as number;
  return column >= 50 && column <= 140 ? column : Number.POSITIVE_INFINITY;
}

/** Whether a sentence may run on from `line` into `next`. */
export function continues(text: string, line: Line, next: Line, column: number): boolean {
  if (line.length === 0 || next.length === 0 || column === Number.POSITIVE_INFINITY) return false;
  if (startsItem(text, next)) return false;
  // An option or term on a short line of its own, then its description further in.
  if (next.indent > line.indent && line.length < 60 && !isTerminal(text, line)) return true;
  if (next.indent < line.indent) return false;
  return line.indent + line.length >= column * 0.6 && !isTerminal(text, line);
}

/** `- `, `* `, `1. `, `--option`, `>`: the line begins something new. */
export function startsItem(text: string, line: Line): boolean {
  const at = firstCharacter(text, line);
  const code = text.charCodeAt(at);
  const after = text.charCodeAt(at + 1);
  if (code === 45) return true;
  if (code === 42 || code === 43 || code === 0x2022) return isSpace(after);
  if (code === 62 || code === 124) return true;
  let digits = at;
  while (digits < line.end && text.charCodeAt(digits) >= 48 && text.charCodeAt(digits) <= 57) digits++;
  if (digits === at || digits - at > 3) return false;
  const mark = text.charCodeAt(digits);
  return (mark === 46 || mark === 41) && isSpace(text.charCodeAt(digits + 1));
}

export function firstCharacter(text: string, line: Line): number {
  let at = line.start;
  while (at < line.end && isSpace(text.charCodeAt(at))) at++;
  return at;
}

function isTerminal(text: string, line: Line): boolean {
  let last = line.end - 1;
  while (last > line.start && isSpace(text.charCodeAt(last))) last--;
  const code = text.charCodeAt(last);
  return code === 46 || code === 33 || code === 63 || code === 58;
}

export function isSpace(code: number): boolean {
  return (
    code === 32 || (code >= 9 && code <= 13) || code === 0xa0 || code === 0x3000 || code === 0x2028 || code === 0x2029
  );
}

function isCloser(code: number): boolean {
  return (
    code === 34 ||
    code === 39 ||
    code === 41 ||
    code === 93 ||
    code === 0x201d ||
    code === 0x2019 ||
    code === 0xbb ||
    code === 0x300d
  );
}

function isLetter(code: number): boolean {
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || (code >= 0xc0 && code < 0x250);
}
