// What of a text's facts another text still has, told by plain expressions that no method under test uses.

export interface Facts {
  readonly numbers: number;
  readonly entities: number;
  readonly negations: number;
}

/** Shares of distinct numbers and names, and of places where something is denied; undefined where the source has none. */
export function factsKept(source: string, output: string): { readonly [K in keyof Facts]: number | undefined } {
  return {
    numbers: share(distinct(source, number), distinct(output, number)),
    entities: share(distinct(source, entity), distinct(output, entity)),
    negations: occurrences(source, output, negation),
  };
}

const number = /\d+(?:[.,:/-]\d+)*/g;
/** Capitalised words that do not begin a sentence, and words with a digit, underscore or inner capital. */
const entity = /(?<=[\p{Ll}\p{N},;] )\p{Lu}[\p{L}\p{N}-]+|[\p{L}_]+[\p{N}_][\p{L}\p{N}_]*|\p{Ll}+\p{Lu}[\p{L}\p{N}]*/gu;
const negation = /\b(?:not|no|never|none|neither|nor|without|cannot|[a-z]+n't)\b/gi;

function distinct(text: string, expression: RegExp): Set<string> {
  return new Set(text.match(expression) ?? []);
}

function share(all: ReadonlySet<string>, kept: ReadonlySet<string>): number | undefined {
  if (all.size === 0) return undefined;
  let found = 0;
  for (const each of all) if (kept.has(each)) found++;
  return found / all.size;
}

function occurrences(source: string, output: string, expression: RegExp): number | undefined {
  const all = source.match(expression)?.length ?? 0;
  return all === 0 ? undefined : Math.min(1, (output.match(expression)?.length ?? 0) / all);
}
