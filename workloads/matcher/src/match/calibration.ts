// How far evidence speaks for a match: log odds by what a stage measured, fitted to pairs that were generated, half of them the same.
// `bench/main.ts --only calibration` measures them; a test beside it holds scores against pairs of another seed.

/** Measure and log odds, the measure ascending. */
export type Curve = readonly (readonly [measure: number, odds: number])[];

/**
 * Of the similarity of two profiles. The same: names with slips of the pen, other spellings, initials, swapped or added words. Not the same: two people,
 * half of whom share one name.
 */
export const profileCurve: Curve = [
  [0.81, -0.5],
  [0.83, 0.4],
  [0.85, 1],
  [0.87, 2.2],
  [0.89, 3.4],
  [0.91, 4.2],
  [0.95, 5],
  [1, 7],
];

/**
 * Of the distance of two PDQ hashes. The same: pictures compressed, scaled, written on, recoloured. Not the same: pictures of which a part is another's.
 */
export const hashCurve: Curve = [
  [0, 8],
  [16, 4],
  [32, 0],
];

/** On straight lines between the points, and as at the ends beyond them. */
export function oddsAt(curve: Curve, measure: number): number {
  let [from, low] = curve[0] as Curve[number];
  if (measure <= from) return low;
  for (const [to, high] of curve) {
    if (measure <= to) return low + ((high - low) * (measure - from)) / Math.max(to - from, Number.MIN_VALUE);
    [from, low] = [to, high];
  }
  return low;
}

export function probability(odds: number): number {
  return 1 / (1 + Math.exp(-odds));
}
