// A match as a verdict shows it: the item, its score and what speaks for it.
import type { ShownItem } from '../record/record.ts';
import type { Fingerprint } from './fingerprint.ts';
import { type OfFrame, printsOf } from './frames.ts';
import type { Finding, Scored, Suppressed } from './verdict.ts';

export interface MatchEntry {
  readonly item: string | null;
  readonly number: number;
  readonly bank: string;
  readonly score: number;
  readonly stage: Finding['stage'];
  readonly distance: number | null;
  readonly metadata: unknown;
  readonly evidence: {
    /** Of an animation, the place of the frame that is like the item, from 0. */
    readonly frame?: number;
    readonly variant?: string;
    readonly quality?: number;
    readonly region?: { readonly scale: number; readonly degrees: number; readonly x: number; readonly y: number };
    readonly agreeingCorners?: number;
    readonly itemShown?: number;
    readonly queryCovered?: number;
    readonly mirrored?: boolean;
    /** Cosine of the two images' vectors. */
    readonly similarity?: number;
    readonly fields?: readonly { field: string; query: string; item: string; similarity: number }[];
    readonly suppressedBecause?: string;
  };
}

export function entry(
  scored: OfFrame<Scored | Suppressed>,
  item: ShownItem | undefined,
  fingerprint: Fingerprint | undefined,
): MatchEntry {
  const hash = scored.findings.find((each) => each.hash)?.hash;
  const alignment = scored.findings.find((each) => each.alignment)?.alignment;
  const embedding = scored.findings.find((each) => each.embedding)?.embedding;
  const profile = scored.findings.find((each) => each.profile)?.profile;
  const round = (value: number) => Number(value.toFixed(4));
  return {
    item: item?.id ?? null,
    number: scored.number,
    bank: scored.bank.name,
    score: round(scored.score),
    stage: scored.stage,
    distance: hash?.distance ?? null,
    metadata: item?.metadata ?? null,
    evidence: {
      ...(fingerprint?.animation && frameOf(scored)),
      ...(hash && { variant: hash.variant, quality: qualityOf(fingerprint, scored.frame) }),
      ...(alignment && {
        region: {
          scale: round(alignment.transform.scale),
          degrees: round((alignment.transform.turn * 180) / Math.PI),
          x: round(alignment.transform.dx),
          y: round(alignment.transform.dy),
        },
        agreeingCorners: alignment.agreeing,
        itemShown: round(alignment.itemShown),
        queryCovered: round(alignment.queryCovered),
        mirrored: alignment.mirrored,
      }),
      ...(embedding && { similarity: round(embedding.similarity) }),
      ...(profile && { fields: profile.fields.map((field) => ({ ...field, similarity: round(field.similarity) })) }),
      ...('reason' in scored && { suppressedBecause: scored.reason }),
    },
  };
}

/** Names and bytes are of no frame. */
function frameOf({ findings, frame }: OfFrame<Scored>): { frame?: number } {
  return findings.some(({ hash, alignment, embedding }) => hash ?? alignment ?? embedding) ? { frame } : {};
}

function qualityOf(fingerprint: Fingerprint | undefined, frame: number): number {
  return (fingerprint && printsOf(fingerprint).find((print) => print.frame === frame)?.quality) ?? 0;
}
