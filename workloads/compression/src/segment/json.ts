// JSON into fields: containers too large for one unit become an opening bracket, what they hold, and a closing bracket
// that are kept together. Iterative and tolerant: depth is bounded by memory only, and broken JSON is refused, not guessed.
import type { TokenMap } from '../tokens.ts';
import type { Unit } from '../unit.ts';
import { isSpace } from './sentences.ts';

export interface JsonNode {
  /** From the key (or the value where there is none) … */
  start: number;
  /** … to just after the value. */
  end: number;
  /** Just after the opening bracket; 0 for scalars. */
  inside: number;
  children: JsonNode[] | undefined;
}

/** The values of a text of one or several JSON values (JSON lines), or undefined when it is not JSON. */
export function parseJson(text: string): JsonNode[] | undefined {
  const parser: Parser = { roots: [], stack: [], at: 0, keyStart: -1, after: 'value' };
  parser.at = skipSpace(text, text.charCodeAt(0) === 0xfeff ? 1 : 0);
  while (parser.at < text.length) {
    if (!step(text, parser)) return undefined;
    parser.at = skipSpace(text, parser.at);
  }
  return parser.stack.length === 0 && parser.roots.length > 0 ? parser.roots : undefined;
}

interface Parser {
  readonly roots: JsonNode[];
  readonly stack: { node: JsonNode; close: number; object: boolean }[];
  at: number;
  /** Where the key of the value to come began, or −1. */
  keyStart: number;
  /** What was read last: a value may follow a separator, and the other way round. */
  after: 'value' | 'separator';
}

/** Reads one bracket, comma, key or value; false where there is none that may stand here. */
function step(text: string, parser: Parser): boolean {
  const code = text.charCodeAt(parser.at);
  const top = parser.stack.at(-1);
  if (top && code === top.close) {
    if (parser.keyStart >= 0) return false;
    top.node.end = ++parser.at;
    parser.stack.pop();
    parser.after = 'separator';
    return true;
  }
  if (top && parser.after === 'separator') {
    if (code !== comma) return false;
    parser.at++;
    parser.after = 'value';
    return true;
  }
  return top?.object && parser.keyStart < 0 ? readKey(text, parser) : readValue(text, parser);
}

function readKey(text: string, parser: Parser): boolean {
  if (text.charCodeAt(parser.at) !== quote) return false;
  const end = endOfString(text, parser.at);
  const separator = end < 0 ? text.length : skipSpace(text, end);
  if (text.charCodeAt(separator) !== colon) return false;
  parser.keyStart = parser.at;
  parser.at = skipSpace(text, separator + 1);
  return true;
}

function readValue(text: string, parser: Parser): boolean {
  const { at, keyStart, stack } = parser;
  const code = text.charCodeAt(at);
  const node: JsonNode = { start: keyStart >= 0 ? keyStart : at, end: 0, inside: 0, children: undefined };
  parser.keyStart = -1;
  (stack.at(-1)?.node.children ?? parser.roots).push(node);
  if (code === openBrace || code === openBracket) {
    node.inside = ++parser.at;
    node.children = [];
    stack.push({ node, close: code + 2, object: code === openBrace });
    parser.after = 'value';
    return true;
  }
  const end = code === quote ? endOfString(text, at) : endOfScalar(text, at);
  if (end <= at) return false;
  node.end = parser.at = end;
  parser.after = 'separator';
  return true;
}

/** Brackets further in are not opened: each unit pays for all brackets around it. */
const deepest = 40;

/** Units that tile the text; containers of more than `grain` tokens are opened. */
export function segmentJson(text: string, roots: readonly JsonNode[], tokens: TokenMap, grain: number): Unit[] {
  const units: Unit[] = [];
  // Frames: the children still to come, where each ends (the start of the next), and the unit they stand under.
  const frames: { nodes: readonly JsonNode[]; next: number; limit: number; parent: number; node?: JsonNode }[] = [
    { nodes: roots, next: 0, limit: text.length, parent: -1 },
  ];
  let start = 0;
  while (frames.length > 0) {
    const frame = frames[frames.length - 1] as (typeof frames)[number];
    const node = frame.nodes[frame.next];
    if (!node) {
      frames.pop();
      const above = frames[frames.length - 1];
      if (!above) break;
      const end = endOfChild(above);
      (units[frame.parent] as Unit).closer = units.length;
      units.push({ start, end, kind: 'close', parent: frame.parent, bound: true });
      start = end;
      above.next++;
      continue;
    }
    const end = endOfChild(frame);
    const children = node.children;
    if (children && children.length > 0 && frames.length < deepest && tokens.between(start, end) > grain) {
      const first = (children[0] as JsonNode).start;
      frames.push({ nodes: children, next: 0, limit: node.end - 1, parent: units.length, node });
      units.push({ start, end: first, kind: 'open', parent: frame.parent, bound: frame.parent >= 0 });
      start = first;
      continue;
    }
    units.push({ start, end, kind: 'field', parent: frame.parent, bound: frame.parent >= 0 });
    start = end;
    frame.next++;
  }
  return units;
}

/** A child ends where the next begins, so that it carries its comma; the last one where the bracket closes. */
function endOfChild(frame: { nodes: readonly JsonNode[]; next: number; limit: number }): number {
  return frame.nodes[frame.next + 1]?.start ?? frame.limit;
}

const quote = 34;
const comma = 44;
const colon = 58;
const openBracket = 91;
const openBrace = 123;

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && isSpace(text.charCodeAt(at))) at++;
  return at;
}

function endOfString(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 92) at++;
    else if (code === quote) return at + 1;
    else if (code === 10) return -1;
  }
  return -1;
}

function endOfScalar(text: string, from: number): number {
  let at = from;
  while (at < text.length && isScalarCode(text.charCodeAt(at))) at++;
  const word = text.slice(from, Math.min(at, from + 6));
  const first = text.charCodeAt(from);
  const number = first === 45 || (first >= 48 && first <= 57);
  return number || word === 'true' || word === 'false' || word === 'null' ? at : -1;
}

function isScalarCode(code: number): boolean {
  return (
    (code >= 48 && code <= 57) ||
    (code >= 97 && code <= 122) ||
    code === 43 ||
    code === 45 ||
    code === 46 ||
    code === 69
  );
}
