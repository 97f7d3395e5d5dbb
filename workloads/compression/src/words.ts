// The words of a text with their offsets, in one pass: numbered by folded form, and marked as number, name, identifier,
// negation or stop word. Scanned by character class rather than by expression, so no input can make it slow.

/** What a word is; a word may be several of these. */
export const wordKind = { number: 1, name: 2, identifier: 4, negation: 8, stop: 16 } as const;
/** Words that carry a fact an answer could be: numbers, names and identifiers. */
export const factKinds = wordKind.number | wordKind.name | wordKind.identifier;

export interface Words {
  readonly count: number;
  readonly start: Uint32Array;
  readonly end: Uint32Array;
  /** Number of the folded form, an index into `vocabulary`. */
  readonly id: Uint32Array;
  readonly kind: Uint8Array;
  readonly vocabulary: readonly string[];
  /** The number of a folded form. */
  readonly numbers: ReadonlyMap<string, number>;
}

const other = 0;
const lower = 1;
const upper = 2;
const digit = 3;
/** Scripts without spaces: every character is a word of its own. */
const single = 4;

const ascii = new Uint8Array(128);
for (let code = 0; code < 128; code++) {
  if (code >= 48 && code <= 57) ascii[code] = digit;
  else if ((code >= 97 && code <= 122) || code === 95) ascii[code] = lower;
  else if (code >= 65 && code <= 90) ascii[code] = upper;
}
/** Classes of the basic plane beyond ASCII, each found once (0 = not yet asked). */
const beyond = new Uint8Array(65_536);

function classOf(code: number): number {
  if (code < 128) return ascii[code] as number;
  const known = beyond[code] as number;
  if (known) return known - 1;
  const found = classify(String.fromCharCode(code));
  beyond[code] = found + 1;
  return found;
}

function classify(character: string): number {
  if (/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u.test(character)) return single;
  if (/\p{N}/u.test(character)) return digit;
  if (/\p{Lu}/u.test(character)) return upper;
  if (/[\p{L}\p{M}]/u.test(character)) return lower;
  return /[\ud800-\udfff]/.test(character) ? lower : other;
}

export function scanWords(text: string): Words {
  const capacity = 16 + (text.length >> 1);
  const start = new Uint32Array(capacity);
  const end = new Uint32Array(capacity);
  const id = new Uint32Array(capacity);
  const kind = new Uint8Array(capacity);
  const numbers = new Map<string, number>();
  const vocabulary: string[] = [];
  let count = 0;
  let opening = true;
  for (let at = 0; at < text.length; ) {
    const code = text.charCodeAt(at);
    const first = classOf(code);
    if (first === other) {
      // A capital after one of these says nothing about names: . ! ? : newline and opening quotes.
      if (code === 10 || code === 46 || code === 33 || code === 63 || code === 58 || code === 34) opening = true;
      at++;
      continue;
    }
    const from = at;
    at = first === single ? at + 1 : endOfWord(text, at);
    const raw = text.slice(from, at);
    const folded = fold(raw);
    let number = numbers.get(folded);
    if (number === undefined) {
      number = vocabulary.length;
      numbers.set(folded, number);
      vocabulary.push(folded);
    }
    start[count] = from;
    end[count] = at;
    id[count] = number;
    kind[count] = kindOf(raw, folded, first, opening);
    count++;
    opening = false;
  }
  return {
    count,
    start: start.subarray(0, count),
    end: end.subarray(0, count),
    id: id.subarray(0, count),
    kind: kind.subarray(0, count),
    vocabulary,
    numbers,
  };
}

function endOfWord(text: string, from: number): number {
  let at = from + 1;
  let last = classOf(text.charCodeAt(from));
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const found = classOf(code);
    if (found === single) break;
    if (found !== other) {
      last = found;
      continue;
    }
    // An apostrophe between letters belongs to the word. A decimal point does not: a question may name either part.
    if ((code !== 39 && code !== 0x2019) || last !== lower || classOf(text.charCodeAt(at + 1)) !== lower) break;
  }
  return at;
}

/** Lower case without the plural, so that "errors" finds "error". */
function fold(raw: string): string {
  const folded = raw.toLowerCase();
  const last = folded.length - 1;
  if (last > 2 && folded.charCodeAt(last) === 115 && folded.charCodeAt(last - 1) !== 115) return folded.slice(0, last);
  return folded;
}

function kindOf(raw: string, folded: string, first: number, opening: boolean): number {
  let kind = 0;
  if (first === digit) kind |= wordKind.number;
  if (isIdentifier(raw, first)) kind |= wordKind.identifier;
  else if (first === upper && !opening && raw.length > 1) kind |= wordKind.name;
  if (negations.has(folded) || folded.endsWith("n't") || folded.endsWith('n’t')) kind |= wordKind.negation;
  else if (stopWords.has(folded) && raw !== 'IT') kind |= wordKind.stop;
  return kind;
}

/** Mixed letters and digits, an inner underscore or capital, or capitals alone: what people give things to name them. */
function isIdentifier(raw: string, first: number): boolean {
  if (raw.length < 2) return false;
  let digits = first === digit;
  let letters = first === lower || first === upper;
  let capitals = first === upper ? 1 : 0;
  for (let i = 1; i < raw.length; i++) {
    const code = raw.charCodeAt(i);
    if (code === 95 && i < raw.length - 1) return true;
    const found = classOf(code);
    if (found === digit) digits = true;
    else if (found === upper) {
      letters = true;
      capitals++;
    } else if (found === lower) letters = true;
  }
  return (digits && letters) || (capitals === raw.length && raw.length < 12) || capitals > (first === upper ? 1 : 0);
}

const negations = new Set(
  'no not nor never none nothing neither nobody nowhere without cannot kein nicht nie ohne non ne pas jamais sans ni nunca sin não nem'.split(
    ' ',
  ),
);

/** Folded function words of the languages the detector names; they say nothing about what a text is about. */
export const stopWords: ReadonlySet<string> = new Set(
  `a about after all also an and any are as at be because been before being between both but by can could did do does doing during each few for from
further had ha have having he her here him hi how i if in into is it its just may me might more most must my of off on once only or other our out over own
same shall she should so some such than that the their them then there these they this those through to too under until up upon very wa was we were what
when where which while who whom why will with would you your
der die das und ist von mit den dem des ein eine einer auf für im zu als auch an wird sich bei
le la les de du des et est un une dans pour que qui sur par au aux ce cette plus
el los las y en es por con para una su del al lo como más se
il lo gli di che è per con del della sono o e da em um uma os as no na com não het een van op te dat zijn`.split(/\s+/),
);
