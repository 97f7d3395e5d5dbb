// How much each unit matters: to the text as a whole (graph centrality), to a query, and by the facts it carries.
import type { Document } from './document.ts';
import type { Unit } from './unit.ts';
import { factKinds, scanWords, wordKind } from './words.ts';

/**
 * Centrality of units by a random walk unit → term → unit, scaled to a maximum of 1. It is LexRank (Erkan and Radev 2004)
 * on the full cosine graph, but the similarity matrix A·Aᵀ is never formed: each step multiplies by A and by Aᵀ, which is
 * linear in the words where the graph is quadratic in the units.
 */
export function centrality(document: Document, steps = 12, damping = 0.85): Float64Array {
  const { terms, units } = document;
  const weights = normalisedWeights(document);
  const count = units.length;
  let scores = new Float64Array(count).fill(1 / Math.max(count, 1));
  const flow = new Float64Array(terms.frequency.length);
  for (let step = 0; step < steps; step++) {
    flow.fill(0);
    const next = new Float64Array(count).fill((1 - damping) / Math.max(count, 1));
    for (let unit = 0; unit < count; unit++) {
      const score = scores[unit] as number;
      for (let k = terms.row[unit] as number; k < (terms.row[unit + 1] as number); k++) {
        const id = terms.ids[k] as number;
        flow[id] = (flow[id] as number) + score * (weights[k] as number);
      }
    }
    let sum = 0;
    for (let unit = 0; unit < count; unit++) {
      let inflow = 0;
      for (let k = terms.row[unit] as number; k < (terms.row[unit + 1] as number); k++) {
        inflow += (flow[terms.ids[k] as number] as number) * (weights[k] as number);
      }
      next[unit] = (next[unit] as number) + damping * inflow;
      sum += next[unit] as number;
    }
    if (sum > 0) for (let unit = 0; unit < count; unit++) next[unit] = (next[unit] as number) / sum;
    scores = next;
  }
  return scaled(scores);
}

/** tf·idf per entry, each unit of length 1; terms of one unit only link nothing and are left out. */
function normalisedWeights({ terms, units }: Document): Float64Array {
  const weights = new Float64Array(terms.ids.length);
  for (let unit = 0; unit < units.length; unit++) {
    let square = 0;
    for (let k = terms.row[unit] as number; k < (terms.row[unit + 1] as number); k++) {
      const frequency = terms.frequency[terms.ids[k] as number] as number;
      const weight =
        frequency > 1 ? Math.log(1 + (terms.counts[k] as number)) * Math.log(1 + units.length / frequency) : 0;
      weights[k] = weight;
      square += weight * weight;
    }
    const length = Math.sqrt(square) || 1;
    for (let k = terms.row[unit] as number; k < (terms.row[unit + 1] as number); k++) {
      weights[k] = (weights[k] as number) / length;
    }
  }
  return weights;
}

/**
 * Relevance to a query: how much of the query's information (idf) the unit covers itself, how much its headings, its
 * record or its neighbours add, and whether the words stand together as in the query. Full coverage counts more than
 * frequent words do, which is where BM25 (kept inside as one part) loses exact answers. 0 where nothing matches.
 */
export function relevance(document: Document, query: string): Float64Array {
  const { terms, units, words } = document;
  const scores = new Float64Array(units.length);
  const asked = questionTerms(document, query);
  if (asked.weight.size === 0) return scores;
  const own = new Float64Array(units.length);
  const covers: (Set<number> | undefined)[] = [];
  const meanLength = Math.max(words.count / Math.max(units.length, 1), 1);
  const saturated = new Float64Array(units.length);
  for (let unit = 0; unit < units.length; unit++) {
    const length = (document.firstWord[unit + 1] as number) - (document.firstWord[unit] as number);
    for (let k = terms.row[unit] as number; k < (terms.row[unit + 1] as number); k++) {
      const id = terms.ids[k] as number;
      const weight = asked.weight.get(id);
      if (weight === undefined) continue;
      (covers[unit] ??= new Set()).add(id);
      own[unit] = (own[unit] as number) + weight;
      const count = terms.counts[k] as number;
      saturated[unit] =
        (saturated[unit] as number) + (weight * count * 2.2) / (count + 1.2 * (0.5 + (0.5 * length) / meanLength));
    }
  }
  const fromContext = contextCoverage(document, asked.weight, covers);
  for (let unit = 0; unit < units.length; unit++) {
    const covered = ((own[unit] as number) + 0.5 * (fromContext[unit] as number)) / asked.total;
    if (covered === 0) continue;
    const together = own[unit] ? adjacency(document, unit, asked) / asked.total : 0;
    const answers = newFacts(document, unit, asked.weight) > 0 ? 1.15 : 1;
    scores[unit] = (covered ** 1.5 + 0.3 * together + 0.25 * ((saturated[unit] as number) / asked.total)) * answers;
  }
  return scores;
}

const mostTerms = 64;

interface Question {
  weight: Map<number, number>;
  total: number;
  /** Pairs of terms that follow each other in the query, as id → ids. */
  pairs: Map<number, Set<number>>;
}

function questionTerms({ terms, units, words }: Document, query: string): Question {
  const scan = scanWords(query);
  const weight = new Map<number, number>();
  const pairs = new Map<number, Set<number>>();
  let total = 0;
  let before = -1;
  for (let i = 0; i < scan.count; i++) {
    const word = scan.vocabulary[scan.id[i] as number] as string;
    if ((scan.kind[i] as number) & wordKind.stop) continue;
    const id = words.numbers.get(word);
    const frequency = id === undefined ? 0 : (terms.frequency[id] as number);
    if (id === undefined || frequency === 0) continue;
    if (!weight.has(id)) {
      const idf = Math.log(1 + (units.length - frequency + 0.5) / (frequency + 0.5));
      weight.set(id, idf);
      total += idf;
    }
    if (before >= 0 && before !== id) {
      let following = pairs.get(before);
      if (!following) pairs.set(before, (following = new Set()));
      following.add(id);
    }
    before = id;
  }
  return rarest({ weight, total: Math.max(total, 1e-9), pairs });
}

/** A question has few words that tell parts of a text apart; a whole document as query must not cost units × words. */
function rarest({ weight, total, pairs }: Question): Question {
  if (weight.size <= mostTerms) return { weight, total, pairs };
  const kept = [...weight].sort((a, b) => b[1] - a[1]).slice(0, mostTerms);
  return { weight: new Map(kept), total: kept.reduce((sum, [, idf]) => sum + idf, 0), pairs };
}

/** What the units above (headings, brackets), the same record and the neighbours cover of the query beyond the unit itself. */
function contextCoverage(
  { units }: Document,
  weight: ReadonlyMap<number, number>,
  covers: readonly (Set<number> | undefined)[],
): Float64Array {
  const added = new Float64Array(units.length);
  const record = new Map<number, Set<number>>();
  units.forEach((unit, index) => {
    const found = covers[index];
    if (!found || !unit.bound) return;
    let all = record.get(unit.parent);
    if (!all) record.set(unit.parent, (all = new Set()));
    for (const id of found) all.add(id);
  });
  const seen = new Set<number>();
  for (let index = 0; index < units.length; index++) {
    const unit = units[index] as Unit;
    seen.clear();
    const own = covers[index];
    let sum = 0;
    const take = (ids: ReadonlySet<number> | undefined, share: number): void => {
      if (!ids) return;
      for (const id of ids) {
        if (own?.has(id) || seen.has(id)) continue;
        seen.add(id);
        sum += (weight.get(id) as number) * share;
      }
    };
    if (unit.bound) take(record.get(unit.parent), 1);
    for (let up = unit.parent, depth = 0; up >= 0 && depth < 6; up = (units[up] as Unit).parent, depth++) {
      take(covers[up], 0.8);
    }
    if (own) {
      take(covers[index - 1], 0.3);
      take(covers[index + 1], 0.3);
    }
    added[index] = sum;
  }
  return added;
}

/** Information of query pairs whose words stand in the unit in the same order, at most three words apart. */
function adjacency({ words, firstWord }: Document, unit: number, asked: Question): number {
  let sum = 0;
  const end = firstWord[unit + 1] as number;
  const counted = new Set<number>();
  for (let i = firstWord[unit] as number; i < end; i++) {
    const id = words.id[i] as number;
    const following = asked.pairs.get(id);
    if (!following || counted.has(id)) continue;
    for (let j = i + 1; j < Math.min(end, i + 4); j++) {
      const next = words.id[j] as number;
      if (!following.has(next)) continue;
      sum += Math.min(asked.weight.get(id) ?? 0, asked.weight.get(next) ?? 0);
      counted.add(id);
      break;
    }
  }
  return sum;
}

function newFacts({ terms }: Document, unit: number, asked: ReadonlyMap<number, number>): number {
  let found = 0;
  for (let k = terms.row[unit] as number; k < (terms.row[unit + 1] as number); k++) {
    if ((terms.kinds[k] as number) & factKinds && !asked.has(terms.ids[k] as number)) found++;
  }
  return found;
}

function scaled(values: Float64Array): Float64Array {
  let largest = 0;
  for (const value of values) if (value > largest) largest = value;
  if (largest > 0) for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) / largest;
  return values;
}
