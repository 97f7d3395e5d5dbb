// Which columns a learner sees: products of two that say more than either, and the share that says most of the target.
import type { PreprocessingGenes } from './fit.ts';
import type { Preprocessing } from './steps.ts';

/** Interactions first, then selection over all columns. */
export function chosen(
  values: readonly Float32Array[],
  targets: readonly Float64Array[],
  weights: Float64Array | undefined,
  genes: PreprocessingGenes,
): Preprocessing['outputs'][number][] {
  const all: Preprocessing['outputs'][number][] = values.map((_, i) => [i]);
  if (genes.interactions === 0 && genes.select >= 1) return all;
  const powers = values.map((column) => power(column, targets, weights));
  const candidates = [...powers];
  if (genes.interactions > 0) {
    const strongest = powers
      .map((_, i) => i)
      .sort((a, b) => powers[b]! - powers[a]! || a - b)
      .slice(0, 12);
    const pairs: { pair: readonly [number, number]; gain: number }[] = [];
    for (const [place, a] of strongest.entries()) {
      for (const b of strongest.slice(place + 1)) {
        const product = values[a]!.map((value, i) => value * values[b]![i]!);
        pairs.push({ pair: [a, b], gain: power(product, targets, weights) });
      }
    }
    for (const { pair, gain } of pairs.sort((p, q) => q.gain - p.gain).slice(0, genes.interactions)) {
      all.push(pair);
      candidates.push(gain);
    }
  }
  const keep = Math.max(1, Math.round(genes.select * all.length));
  const order = candidates.map((_, i) => i).sort((a, b) => candidates[b]! - candidates[a]! || a - b);
  return order
    .slice(0, keep)
    .sort((a, b) => a - b)
    .map((i) => all[i]!);
}

/** Largest squared correlation with a target; rows with gaps are passed over. */
function power(column: Float32Array, targets: readonly Float64Array[], weights: Float64Array | undefined): number {
  let best = 0;
  for (const target of targets) {
    let known = 0,
      n = 0,
      sx = 0,
      sy = 0,
      sxx = 0,
      syy = 0,
      sxy = 0;
    for (let i = 0; i < column.length; i++) {
      const x = column[i]!;
      if (Number.isNaN(x)) continue;
      const y = target[i]!;
      const weight = weights ? weights[i]! : 1;
      known++;
      n += weight;
      sx += weight * x;
      sy += weight * y;
      sxx += weight * x * x;
      syy += weight * y * y;
      sxy += weight * x * y;
    }
    const vx = sxx - (sx * sx) / n;
    const vy = syy - (sy * sy) / n;
    if (known > 2 && vx > 1e-9 * sxx && vy > 0) best = Math.max(best, (sxy - (sx * sy) / n) ** 2 / (vx * vy));
  }
  return best;
}
