// CSV (RFC 4180, and what people write instead of it) as a stream of records. Memory is bounded by one chunk and one record.
import { EvolutionError } from '../errors.ts';

export interface CsvRecord {
  readonly fields: string[];
  /** Line where the record starts; the first is 1. */
  readonly line: number;
}

/** Characters of one record. A longer one is nearly always a quote that nobody closed. */
const recordLimit = 4 << 20;

/**
 * Calls `each` with every record, blank lines left out. The delimiter (comma, semicolon, tab or bar) is found in the first line.
 * @throws EvolutionError DataInvalid naming the line: not UTF-8, unclosed quote, text after a quote, NUL.
 */
export async function readCsv(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  each: (record: CsvRecord) => void,
): Promise<void> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const parser = new CsvParser(each);
  let first = true;
  for await (const chunk of chunks) {
    if (first) {
      refuseForeignBytes(chunk);
      first = false;
    }
    parser.push(decoded(decoder, chunk, parser.line));
  }
  parser.push(decoded(decoder, undefined, parser.line));
  parser.end();
}

function refuseForeignBytes(chunk: Uint8Array): void {
  const [a, b, c, d] = chunk;
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff) || (b === 0 && d === 0 && a !== 0 && c !== 0)) {
    throw new EvolutionError('DataInvalid', 'line 1: the file is UTF-16, not UTF-8', {
      row: 1,
      fix: 'save it as UTF-8',
    });
  }
  if (a === 0x50 && b === 0x41 && c === 0x52 && d === 0x31) {
    throw new EvolutionError('DataInvalid', 'the file is Parquet, not CSV', {
      field: 'spec.dataset.format',
      fix: 'set format: Parquet',
    });
  }
  if ((a === 0x1f && b === 0x8b) || (a === 0x50 && b === 0x4b && c === 3)) {
    throw new EvolutionError('DataInvalid', 'the file is compressed', { fix: 'unpack it first' });
  }
}

function decoded(decoder: Decoder, chunk: Uint8Array | undefined, line: number): string {
  try {
    return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
  } catch (cause) {
    const at = line + linesBeforeBadByte(chunk);
    throw new EvolutionError('DataInvalid', `line ${at}: not UTF-8`, { row: at, fix: 'save the file as UTF-8' }, cause);
  }
}

/** Line feeds before the first byte that is not UTF-8. */
function linesBeforeBadByte(chunk: Uint8Array | undefined): number {
  if (!chunk) return 0;
  // The chunk may begin within a character that the one before holds.
  let start = 0;
  while (start < 3 && (chunk[start]! & 0xc0) === 0x80) start++;
  for (let lines = 0; ; lines++) {
    const end = chunk.indexOf(10, start);
    const line = chunk.subarray(start, end < 0 ? undefined : end);
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(line, { stream: end < 0 });
    } catch {
      return lines;
    }
    // Nothing bad but where the chunks meet.
    if (end < 0) return 0;
    start = end + 1;
  }
}

type Decoder = InstanceType<typeof TextDecoder>;

class CsvParser {
  readonly #each: (record: CsvRecord) => void;
  #text = '';
  #delimiter = '';
  /** Place of the next quote in the text: searched again only once it is passed, else each record would look through the whole chunk. */
  #quote = -1;
  line = 1;

  constructor(each: (record: CsvRecord) => void) {
    this.#each = each;
  }

  push(more: string): void {
    const nul = more.indexOf('\0');
    if (nul >= 0) {
      this.line += linesIn(this.#text) + linesIn(more.slice(0, nul));
      throw this.#invalid('a NUL byte', 'the file may be damaged, or not text: write it again as CSV');
    }
    this.#text += more;
    this.#take(false);
    if (this.#text.length > recordLimit)
      throw this.#invalid('a record of more than 4 MiB', 'look for a quote that is not closed');
  }

  end(): void {
    if (this.#text !== '') this.#take(true);
  }

  #take(last: boolean): void {
    const text = this.#text;
    if (this.#delimiter === '') {
      const end = unquotedLineEnd(text);
      if (end < 0 && !last) return;
      this.#delimiter = delimiterOf(end < 0 ? text : text.slice(0, end));
    }
    this.#quote = -1;
    let at = 0;
    while (at < text.length) {
      const next = this.#record(text, at, last);
      if (next < 0) break;
      at = next;
    }
    this.#text = text.slice(at);
  }

  /** Reads one record and returns where the next starts, or -1 when its end is not there yet. */
  #record(text: string, start: number, last: boolean): number {
    let end = text.indexOf('\n', start);
    if (end < 0) {
      if (!last) return -1;
      end = text.length;
    }
    // Most records have no quote: one split, no scan.
    if (this.#quote < start) {
      const quote = text.indexOf('"', start);
      this.#quote = quote < 0 ? Number.POSITIVE_INFINITY : quote;
    }
    if (this.#quote >= end) {
      const stop = end > start && text.charCodeAt(end - 1) === 13 ? end - 1 : end;
      if (stop > start) this.#emit(text.slice(start, stop).split(this.#delimiter).map(trimmed));
      this.line++;
      return end + 1;
    }
    return this.#quotedRecord(text, start, last);
  }

  #quotedRecord(text: string, start: number, last: boolean): number {
    const fields: string[] = [];
    const delimiter = this.#delimiter.charCodeAt(0);
    let lines = 1;
    let at = start;
    for (;;) {
      let value: string;
      if (text[at] === '"') {
        const close = closingQuote(text, at + 1);
        if (close < 0) {
          if (last) throw this.#invalid('a quote that is not closed');
          return -1;
        }
        value = text.slice(at + 1, close);
        lines += linesIn(value);
        value = value.replaceAll('""', '"');
        at = close + 1;
        if (at >= text.length && !last) return -1;
      } else {
        const from = at;
        for (; at < text.length; at++) {
          const code = text.charCodeAt(at);
          if (code === delimiter || code === 10) break;
        }
        if (at >= text.length && !last) return -1;
        value = trimmed(text.slice(from, at));
      }
      fields.push(value);
      if (text[at] === '\r') at++;
      if (at >= text.length || text[at] === '\n') break;
      if (text[at] !== this.#delimiter) throw this.#invalid(`text after the closing quote of field ${fields.length}`);
      at++;
    }
    this.#emit(fields);
    this.line += lines;
    return at + 1;
  }

  #emit(fields: string[]): void {
    this.#each({ fields, line: this.line });
  }

  #invalid(what: string, fix?: string): EvolutionError {
    return new EvolutionError('DataInvalid', `line ${this.line}: ${what}`, {
      row: this.line,
      ...(fix === undefined ? {} : { fix }),
    });
  }
}

function closingQuote(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 2)) if (text[at + 1] !== '"') return at;
  return -1;
}

function linesIn(text: string): number {
  return text.includes('\n') ? text.split('\n').length - 1 : 0;
}

function unquotedLineEnd(text: string): number {
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '"') quoted = !quoted;
    else if (text[at] === '\n' && !quoted) return at;
  }
  return -1;
}

function trimmed(text: string): string {
  const first = text.charCodeAt(0);
  const last = text.charCodeAt(text.length - 1);
  return first <= 32 || last <= 32 ? text.trim() : text;
}

function delimiterOf(line: string): string {
  const unquoted = line.replaceAll(/"[^"]*"/g, '');
  let best = ',';
  let most = 0;
  for (const each of [',', ';', '\t', '|']) {
    const count = unquoted.split(each).length - 1;
    if (count > most) {
      best = each;
      most = count;
    }
  }
  return best;
}
