// A verdict on what moves: each of its frames is judged as a still would be, and the best of them decides. So what a
// negative bank knows of one frame suppresses nothing that another one shows.
import type { Bank } from '../record/record.ts';
import type { Fingerprint, Print } from './fingerprint.ts';
import { type Finding, judge, type Rules, type Scored, type Suppressed } from './verdict.ts';

/** Of a verdict on an animation. */
export interface JudgedFrames {
  /** Frames of the file. */
  readonly of: number;
  /** How many of them were looked at; fewer where all would have been too many pixels. */
  readonly read: number;
  /** Places, from 0, of those that differ most from each other. */
  readonly judged: readonly number[];
}

export type OfFrame<T> = T & { readonly frame: number };

export function printsOf({ animation, ...first }: Fingerprint): OfFrame<Print>[] {
  return [{ ...first, frame: 0 }, ...(animation?.others ?? [])];
}

export function framesOf({ animation }: Fingerprint): JudgedFrames | undefined {
  if (!animation) return undefined;
  const { of, read, others } = animation;
  return { of, read, judged: [0, ...others.map(({ frame }) => frame)] };
}

/** As `judge` does, of each frame; an item is suppressed where it is in every frame that shows it. */
export function judgeFrames(
  findings: readonly Finding[],
  frames: readonly number[],
  banks: ReadonlyMap<number, Bank>,
  rules: Rules,
): { matches: OfFrame<Scored>[]; suppressed: OfFrame<Suppressed>[] } {
  const judged = frames.map((frame) => {
    const { matches, suppressed } = judge(
      findings.filter((finding) => isOf(finding, frame)),
      banks,
      rules,
    );
    const named = <T>(each: T): OfFrame<T> => ({ ...each, frame });
    return { matches: matches.map(named), suppressed: suppressed.map(named) };
  });
  const [only] = judged;
  if (only && judged.length === 1) return only;
  const matches = bestOfEach(judged.flatMap((each) => each.matches));
  const matching = new Set(matches.map(({ number }) => number));
  const suppressed = bestOfEach(judged.flatMap((each) => each.suppressed));
  return { matches, suppressed: suppressed.filter(({ number }) => !matching.has(number)) };
}

/** Bytes and profile are of the whole file. */
function isOf({ stage, frame = 0 }: Finding, wanted: number): boolean {
  return stage === 'Exact' || stage === 'Profile' || frame === wanted;
}

/** Highest score first; of equal ones of an item, that of the frame that says more. */
function bestOfEach<T extends OfFrame<Scored>>(scored: readonly T[]): T[] {
  const inOrder = scored.toSorted(
    (a, b) => b.score - a.score || a.number - b.number || b.findings.length - a.findings.length || a.frame - b.frame,
  );
  const best = new Map<number, T>();
  for (const each of inOrder) if (!best.has(each.number)) best.set(each.number, each);
  return [...best.values()];
}
