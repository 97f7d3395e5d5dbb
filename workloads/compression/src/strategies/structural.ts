// Structural: for texts made of like parts (JSON records, tables, code, logs). Keeps the shape, what is unlike the rest, and
// then examples; brackets are kept with what they hold, so the output reads as the source does.
import type { Document } from '../document.ts';
import { outliers } from '../outliers.ts';
import { choose } from '../selection.ts';
import type { Strategy } from '../strategy.ts';
import { coverage } from './extractive.ts';

export const structural: Strategy = {
  name: 'structural',
  compress({ document, budget, query, forced }) {
    const bonus =
      document.type === 'code'
        ? signatures(document)
        : affordable(document, outliers(document), budget.most * (query ? 0.45 : 0.8));
    return choose(document, budget, coverage(document, query, bonus), forced);
  },
};

/** The strongest outliers whose tokens together stay under `tokens`; the rest count as ordinary. */
export function affordable(document: Document, scores: Float64Array, tokens: number): Float64Array {
  const bonus = new Float64Array(scores.length);
  const order = [...scores.keys()].filter((unit) => (scores[unit] as number) > 0);
  order.sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
  let used = 0;
  for (const unit of order) {
    const cost = (document.cost[unit] as number) + 3;
    if (used + cost > tokens) continue;
    used += cost;
    bonus[unit] = 2 + (scores[unit] as number);
  }
  return bonus;
}

const declares =
  /^\s{0,24}(export |public |private |protected |static |abstract |async |pub |default |func |fn |def |class |interface |type |enum |struct |function\b|impl |trait |module |package |#define |@\w)/;

/** Lines that declare something are worth more, the less the further in. */
function signatures({ text, units }: Document): Float64Array {
  const bonus = new Float64Array(units.length);
  units.forEach((unit, index) => {
    const line = text.slice(unit.start, Math.min(unit.end, unit.start + 80));
    if (declares.test(line)) bonus[index] = line.charCodeAt(0) > 32 ? 0.02 : 0.01;
  });
  return bonus;
}
