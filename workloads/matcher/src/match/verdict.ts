// From what the stages found to a verdict: one entry to an item, evidence and a calibrated score, banks' rules applied,
// what negative banks suppress named with the reason.
import type { Alignment } from '../features/align.ts';
import type { Variant } from '../pdq/pdq.ts';
import { type FieldEvidence, isWithoutName } from '../profile/similarity.ts';
import type { Bank } from '../record/record.ts';
import { hashCurve, oddsAt, probability, profileCurve } from './calibration.ts';

export type Stage = 'Exact' | 'Hash' | 'Features' | 'Embedding' | 'Profile';

/** What one stage says of one item. */
export interface Finding {
  readonly number: number;
  readonly bank: number;
  readonly stage: Stage;
  /** Of an animation, the place of the frame that it was found in. */
  readonly frame?: number;
  readonly hash?: { readonly distance: number; readonly variant: Variant };
  readonly alignment?: Alignment & { readonly mirrored: boolean };
  readonly embedding?: { readonly similarity: number };
  readonly profile?: { readonly similarity: number; readonly fields: readonly FieldEvidence[] };
}

export interface Scored {
  readonly number: number;
  readonly bank: Bank;
  /** First of the stages that found it, in the order in which they run. */
  readonly stage: Stage;
  /**
   * 0..1; a match is at least one half. Of names and hashes, about the share that is right of such pairs, half of which
   * are the same; among a million items it is smaller. Of attributes alone one half, of other stages a fixed function.
   */
  readonly score: number;
  readonly findings: readonly Finding[];
}

export interface Suppressed extends Scored {
  readonly reason: string;
}

export interface Rules {
  /** Of the pool, where the bank says nothing. */
  readonly maxDistance: number;
  readonly profileWeight: number;
  readonly minProfileSimilarity: number;
  /** Cosine of two vectors; 1 where no model is mounted. */
  readonly minEmbeddingSimilarity: number;
}

const order: readonly Stage[] = ['Exact', 'Hash', 'Features', 'Embedding', 'Profile'];

/** Highest score first; findings of banks that are not among `banks` are left out. */
export function judge(
  findings: readonly Finding[],
  banks: ReadonlyMap<number, Bank>,
  rules: Rules,
): { matches: Scored[]; suppressed: Suppressed[] } {
  const byItem = new Map<number, Finding[]>();
  for (const finding of findings) {
    if (!banks.has(finding.bank)) continue;
    const known = byItem.get(finding.number);
    if (known) known.push(finding);
    else byItem.set(finding.number, [finding]);
  }
  const scored = [...byItem].map(([number, found]): Scored => {
    const stages = found.map(({ stage }) => order.indexOf(stage));
    const stage = order[Math.min(...stages)] as Stage;
    return {
      number,
      bank: banks.get((found[0] as Finding).bank) as Bank,
      stage,
      score: fuse(found, rules),
      findings: found,
    };
  });
  scored.sort((a, b) => b.score - a.score || a.number - b.number);
  const negatives = scored.filter(({ bank }) => bank.kind === 'Negative');
  const matches: Scored[] = [];
  const suppressed: Suppressed[] = [];
  for (const each of scored) {
    if (each.bank.kind === 'Negative') continue;
    const by = negatives.find(({ bank }) => bank.suppresses === null || bank.suppresses.includes(each.bank.name));
    if (by)
      suppressed.push({ ...each, reason: `the query also matches item ${by.number} of negative bank ${by.bank.name}` });
    else matches.push(each);
  }
  return { matches, suppressed };
}

/** Log odds of the evidence add up: the image's by the stronger of its stages, the profile's by its weight. */
function fuse(findings: readonly Finding[], { profileWeight, minEmbeddingSimilarity }: Rules): number {
  const image: number[] = [];
  const profile: number[] = [];
  for (const { stage, hash, alignment, embedding, profile: named } of findings) {
    if (stage === 'Exact') image.push(9);
    if (hash) image.push(oddsAt(hashCurve, hash.distance));
    if (alignment) image.push(featureOdds(alignment.agreeing));
    if (embedding) image.push(embeddingOdds(embedding.similarity, minEmbeddingSimilarity));
    // The curve is of names; how many share a country, nobody says.
    if (named) profile.push(isWithoutName(named) ? 0 : oddsAt(profileCurve, named.similarity));
  }
  // What a threshold of the spec lets in is a match, also where it is less likely than not.
  const strongest = (odds: readonly number[]) => Math.max(0, ...odds);
  if (image.length === 0) return probability(strongest(profile));
  const share = Math.min(profileWeight, 0.9);
  return probability(strongest(image) + (share / (1 - share)) * strongest(profile));
}

/** By chance, fewer than seven corners agree on the procedural pictures of the benchmark. */
function featureOdds(agreeing: number): number {
  return Math.min(8, (agreeing - 4) / 3);
}

/** Even at the smallest similarity that matches: what a cosine means is up to the model, and the spec says where it begins. */
function embeddingOdds(similarity: number, minimum: number): number {
  return 6 * Math.min(1, (similarity - minimum) / Math.max(0.01, 1 - minimum));
}
