// What of a brief must be the same, and what must mean the same, for two briefs to share copy.
import type { Brief } from './brief.ts';

export interface Meaning {
  /** Compared letter by letter. */
  same: unknown;
  /** Compared in pairs, by what they mean. */
  texts: string[];
}

/** Sentences that differ in these alone are alike to embeddings, and say the opposite. */
const negations =
  /(?<!\p{L})(?:no|not|non|nor|none|never|nothing|without|cannot|kein\p{L}*|nicht|nie|ohne|ne|pas|jamais|sans|nunca|sin|não|nem|sem)(?!\p{L})|n['’]t(?!\p{L})/giu;
/** A name written otherwise is another name, and a number another fact. */
const facts = /\p{N}+(?:[.,:]\p{N}+)*\s*[%‰€$£¥]?|(?<=[\p{L}\p{N},;] )\p{Lu}[\p{L}\p{N}]*/gu;

export function meaningOf({ audience = '', tone = '', callToAction = '', facts: claims, ...same }: Brief): Meaning {
  const texts = [audience, tone, callToAction, ...claims];
  return {
    same: {
      ...same,
      facts: texts.map((text) => text.match(facts) ?? []),
      negations: texts.map((text) => text.match(negations)?.length ?? 0),
    },
    texts,
  };
}
