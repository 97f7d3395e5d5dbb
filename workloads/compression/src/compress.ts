// Compresses one text: reads it, picks a strategy, keeps whole parts of it within the token budget, and says what it did.
import { type Analysis, analyse } from './detect.ts';
import { type Document, readDocument } from './document.ts';
import { CompressionError } from './errors.ts';
import { type Fidelity, fidelityOf } from './fidelity.ts';
import { addressedMarker, markerCost, markerOf, type Span, textOfSpans } from './render.ts';
import type { Budget } from './selection.ts';
import { pickStrategy, strategies } from './strategies/index.ts';
import type { Strategy, StrategyInput, StrategyOutput } from './strategy.ts';
import { type TokenizerName, tokenizer } from './tokens.ts';

export interface CompressOptions {
  readonly text: string;
  /** Original tokens per compressed token, 1 or more; 8 when neither this nor `targetTokens` is given. */
  readonly ratio?: number;
  /** Most tokens of the output; it is never exceeded unless protected parts alone do. */
  readonly targetTokens?: number;
  /** What the reader wants to know; makes high ratios useful. */
  readonly query?: string;
  /** Name of a strategy or `auto`. */
  readonly strategy?: string;
  readonly tokenizer?: TokenizerName;
  /** Offsets that must come out exactly as they are, at every ratio. */
  readonly protect?: readonly { readonly start: number; readonly end: number }[];
  /** Strategies beside the built-in ones. */
  readonly plugins?: readonly Strategy[];
  /** Measure what was kept (default); costs about a tenth of the time. */
  readonly fidelity?: boolean;
  /**
   * Whether the output may begin with a legend of repeated phrases. True: `auto` may choose `frequency`. False: it is refused
   * by name too, as for parts of one text, whose symbols would collide. Left out: only where `frequency` is asked for.
   */
  readonly legend?: boolean;
  /**
   * `addressed` markers say the offsets of what they stand for, as in `…[120-480]`; they cost six tokens or more each. Where not even
   * one fits into `targetTokens` they are plain. Refused for a text that has such markers of its own.
   */
  readonly markers?: 'plain' | 'addressed';
  /** Learned from earlier results: what `auto` should pick for a type instead of `usual`; ignored when it is not there. */
  readonly prefer?: (type: Analysis['type'], ratio: number, usual: string) => string | undefined;
  /** Asked between stages: true ends the work with the code `Cancelled`. */
  readonly cancelled?: () => boolean;
}

export interface Compressed {
  readonly text: string;
  readonly originalTokens: number;
  readonly compressedTokens: number;
  /** originalTokens / compressedTokens. */
  readonly ratio: number;
  readonly strategy: string;
  readonly analysis: Analysis;
  readonly fidelity?: Fidelity;
  /** Parts of the source, kept or elided, that tile it. */
  readonly spans: readonly Span[];
  readonly legend?: StrategyOutput['legend'];
  readonly rate: Rate;
  /** Milliseconds spent. */
  readonly timing: { readonly analyse: number; readonly compress: number; readonly total: number };
}

export interface Rate {
  readonly requested: number;
  readonly reached: number;
  /** Whether the reached ratio is within 5 % of the requested one. */
  readonly met: boolean;
  /** Why not, and what was reachable. */
  readonly reason?: string;
}

export const tolerance = 0.05;

/** @throws CompressionError naming the field when an option cannot be followed. */
export function compress(options: CompressOptions): Compressed {
  const began = performance.now();
  const { text } = options;
  check(options);
  const goOn = (): void => {
    if (options.cancelled?.()) throw new CompressionError('Cancelled', 'text', 'nobody waits for the result any more');
  };
  const counter = tokenizer(options.tokenizer ?? 'o200k_base');
  goOn();
  const analysis = analyse(text);
  const analysed = performance.now();
  goOn();
  const roughTokens = text.length / 4;
  const roughBudget = options.targetTokens ?? roughTokens / (options.ratio ?? 8);
  const grain = Math.max(8, Math.min(96, Math.floor(roughBudget / 6)));
  const read = readDocument(text, analysis.type, counter, grain, options.markers === 'addressed');
  goOn();
  const originalTokens = read.map.total;
  const budget = budgetOf(options, originalTokens);
  const document = plainWhereTight(read, budget);
  const registry = new Map(strategies);
  for (const plugin of options.plugins ?? []) registry.set(plugin.name, plugin);
  const asked = options.strategy ?? 'auto';
  const ratio = originalTokens / Math.max(budget.most, 1);
  const usual = pickStrategy(analysis, ratio, options.legend);
  const preferred = asked === 'auto' ? options.prefer?.(analysis.type, ratio, usual) : asked;
  const name = preferred === undefined || (asked === 'auto' && !registry.has(preferred)) ? usual : preferred;
  const run = (each: string): StrategyOutput => {
    goOn();
    const strategy = registry.get(each);
    if (!strategy)
      throw new CompressionError(
        'UnknownStrategy',
        'strategy',
        `there is no strategy ${JSON.stringify(each)}; there are ${['auto', ...registry.keys()].join(', ')}`,
      );
    return strategies.get(each) === strategy ? strategy.compress(input) : checked(strategy, input);
  };
  const input: StrategyInput = {
    document,
    budget,
    query: options.query?.trim() ?? '',
    forced: protectedUnits(document.units, options.protect ?? []),
    run,
  };
  const { output, tokens: compressedTokens } = shorter(
    document,
    originalTokens <= budget.most ? whole(text) : run(name),
  );
  goOn();
  const compressed = performance.now();
  const fidelity = options.fidelity === false ? undefined : fidelityOf(document, output, input.query);
  return {
    text: output.text,
    originalTokens,
    compressedTokens,
    ratio: originalTokens / Math.max(compressedTokens, 1),
    strategy: name,
    analysis,
    ...(fidelity && { fidelity }),
    spans: output.spans,
    ...(output.legend && { legend: output.legend }),
    rate: rateOf(originalTokens, compressedTokens, budget),
    timing: { analyse: analysed - began, compress: compressed - analysed, total: performance.now() - began },
  };
}

/** What a plugin made, held to the law of all strategies: parts of the source and markers that tile it. */
function checked(strategy: Strategy, input: StrategyInput): StrategyOutput {
  const { text, addressed } = input.document;
  const fail = (reason: string, cause?: unknown): never => {
    throw Object.assign(new CompressionError('PluginFailed', 'strategy', `the strategy ${strategy.name} ${reason}`), {
      cause,
    });
  };
  let output: StrategyOutput | undefined;
  try {
    output = strategy.compress(input);
  } catch (error) {
    if (error instanceof CompressionError) throw error;
    fail(`failed: ${(error as Error).message}`, error);
  }
  if (!Array.isArray(output?.spans) || typeof output.text !== 'string') return fail('returned no text and spans');
  // Plain ones always: a plugin that writes its own need not know of others.
  const isMarker = (marker: unknown, start: number, end: number): boolean =>
    typeof marker === 'string' &&
    ['', '…', markerOf(start, end, addressed)].includes(marker.trimEnd()) &&
    marker.length - marker.trimEnd().length < 2;
  let at = 0;
  for (const { start, end, kept, marker = '' } of output.spans) {
    if (start !== at || end < start || (!kept && !isMarker(marker, start, end))) fail('does not tile its source');
    at = end;
  }
  if (at !== text.length) fail('does not tile its source');
  if (output.legend || textOfSpans(text, output.spans) !== output.text) fail('wrote what is not in its source');
  return output;
}

/** The output, or the source itself where markers made it no shorter. */
function shorter(
  { text, map, tokenizer: counter }: Document,
  output: StrategyOutput,
): { output: StrategyOutput; tokens: number } {
  if (output.text === text) return { output, tokens: map.total };
  const tokens = counter.count(output.text);
  return tokens >= map.total || output.text.length > text.length
    ? { output: whole(text), tokens: map.total }
    : { output, tokens };
}

function check({ text, ratio, targetTokens, strategy, legend, markers }: CompressOptions): void {
  if (strategy === 'frequency' && legend === false) {
    const message =
      'frequency writes a legend, which the parts of a text and the messages of a conversation cannot share';
    throw new CompressionError('InvalidField', 'strategy', message);
  }
  if (typeof text !== 'string') throw new CompressionError('InvalidField', 'text', 'text must be a string');
  if (markers === 'addressed') {
    const own = addressedMarker.exec(text)?.[0];
    const message = `the text has markers of its own, as ${own}: who reads the answer could not tell them from those in it`;
    if (own) throw new CompressionError('InvalidField', 'markers', message);
  }
  if (ratio !== undefined && !(ratio >= 1 && ratio <= 10_000)) {
    throw new CompressionError('InvalidField', 'ratio', 'ratio must lie between 1 and 10000');
  }
  if (targetTokens !== undefined && !(Number.isInteger(targetTokens) && targetTokens >= 1)) {
    throw new CompressionError('InvalidField', 'targetTokens', 'targetTokens must be a whole number of at least 1');
  }
  if (ratio !== undefined && targetTokens !== undefined) {
    throw new CompressionError('InvalidField', 'targetTokens', 'give either ratio or targetTokens, not both');
  }
}

/** A limit that has no room for an addressed marker has some for a plain one. */
function plainWhereTight(document: Document, budget: Budget): Document {
  return budget.strict && markerCost(document) > budget.most ? { ...document, addressed: false } : document;
}

function budgetOf(options: CompressOptions, tokens: number): Budget {
  if (options.targetTokens !== undefined) {
    const most = options.targetTokens;
    return { most, least: Math.ceil(most / (1 + tolerance)), limit: most, strict: true };
  }
  const aim = tokens / (options.ratio ?? 8);
  const most = Math.max(1, Math.floor(aim));
  return {
    most,
    least: Math.min(most, Math.ceil(aim / (1 + tolerance))),
    limit: Math.max(most, Math.floor(aim / (1 - tolerance))),
  };
}

function rateOf(original: number, compressed: number, budget: Budget): Rate {
  const requested = original / Math.max(budget.most, 1);
  const reached = original / Math.max(compressed, 1);
  if (original <= budget.most) return { requested: Math.max(1, requested), reached: 1, met: true };
  if (compressed >= budget.least && compressed <= budget.limit) return { requested, reached, met: true };
  const reason =
    compressed > budget.limit
      ? `the smallest part that can be kept whole has more tokens than asked for; ${reached.toFixed(2)} was reachable`
      : `no whole part fits the tokens left over; ${reached.toFixed(2)} was reachable`;
  return { requested, reached, met: false, reason };
}

function whole(text: string): StrategyOutput {
  return { text, spans: text.length > 0 ? [{ start: 0, end: text.length, kept: true }] : [] };
}

function protectedUnits(
  units: readonly { start: number; end: number }[],
  protect: readonly { start: number; end: number }[],
): number[] {
  if (protect.length === 0) return [];
  const sorted = [...protect].sort((a, b) => a.start - b.start);
  const forced: number[] = [];
  let next = 0;
  let reach = -1;
  units.forEach((unit, index) => {
    while (next < sorted.length && (sorted[next] as { start: number }).start < unit.end) {
      reach = Math.max(reach, (sorted[next++] as { end: number }).end);
    }
    if (reach > unit.start) forced.push(index);
  });
  return forced;
}
