// Extractive: the units that cover most of what the text says, or of what the query asks, within the budget.
import type { Document } from '../document.ts';
import { centrality, relevance } from '../rank.ts';
import { choose, type Preference } from '../selection.ts';
import type { Strategy } from '../strategy.ts';
import { factKinds, wordKind } from '../words.ts';

export const extractive: Strategy = {
  name: 'extractive',
  compress({ document, budget, query, forced }) {
    return choose(document, budget, coverage(document, query), forced);
  },
};

/** What each negation is worth beside a fact that stands nowhere else; measured in bench/quality.ts. */
const denial = 0.6;

/**
 * The value of a set of units: each distinct fact and term counts once (a second mention adds a third of it), facts the
 * more the rarer they are, each negation in full, as it denies another thing; central units and openings a little more; with
 * a query, relevance outweighs all of that.
 */
export function coverage(document: Document, query: string, bonus?: Float64Array): Preference {
  const { terms, units } = document;
  const central = centrality(document);
  const relevant = query ? relevance(document, query) : undefined;
  const asks = relevant?.some((score) => score > 0) ?? false;
  const covered = new Uint32Array(terms.frequency.length);
  const count = (unit: number, by: number): void => {
    for (let k = terms.row[unit] as number; k < (terms.row[unit + 1] as number); k++) {
      const id = terms.ids[k] as number;
      covered[id] = (covered[id] as number) + by;
    }
  };
  return {
    thrift: asks ? 0.25 : 1,
    gain(unit) {
      let facts = 0;
      let topics = 0;
      let denied = 0;
      for (let k = terms.row[unit] as number; k < (terms.row[unit + 1] as number); k++) {
        const id = terms.ids[k] as number;
        const again = covered[id] ? 0.3 : 1;
        const kind = terms.kinds[k] as number;
        if (kind & factKinds) facts += (again * factWeight(document, id)) / Math.sqrt(terms.frequency[id] as number);
        else if (kind & wordKind.negation) denied += terms.counts[k] as number;
        else topics += again * 0.2;
      }
      const position = 1 - unit / units.length;
      const general = facts + denial * denied + topics * (0.5 + (central[unit] as number)) + 0.1 * position;
      const extra = bonus ? (bonus[unit] as number) : 0;
      return asks ? (relevant as Float64Array)[unit]! * 100 + general * 0.01 + extra * 100 : general + extra * 100;
    },
    kept: (unit) => count(unit, 1),
    dropped: (unit) => count(unit, -1),
  };
}

/** A single digit tells little: it is a list's number or a version's more often than an answer. */
function factWeight({ words }: Document, id: number): number {
  return (words.vocabulary[id] as string).length > 1 ? 1 : 0.3;
}
