// Means and quantiles of teaching rows, each row counting by its weight.

/** Sorted values beside the weights of their rows; undefined where every row counts alike. */
export interface Weighed {
  readonly values: Float64Array;
  readonly weights: Float64Array | undefined;
}

/** Weights of the rows with a mean of 1, so that what counts rows, as smoothing does, need not know their unit. */
export function weightsOf(weights: Float64Array | undefined, rows: Int32Array): Float64Array | undefined {
  if (!weights) return undefined;
  const total = rows.reduce((sum, row) => sum + weights[row]!, 0);
  return Float64Array.from(rows, (row) => (weights[row]! * rows.length) / total);
}

export function meanOf(values: Float64Array, weights?: Float64Array): number {
  let sum = 0;
  let total = 0;
  for (let i = 0; i < values.length; i++) {
    const weight = weights ? weights[i]! : 1;
    sum += weight * values[i]!;
    total += weight;
  }
  return total === 0 ? 0 : sum / total;
}

/** Mean and standard deviation; that of what is constant, but for rounding, is 1. */
export function standardOf(values: Float64Array, weights?: Float64Array): { mean: number; deviation: number } {
  const mean = meanOf(values, weights);
  const squares = values.map((value) => (value - mean) ** 2);
  const deviation = Math.sqrt(meanOf(squares, weights));
  return { mean, deviation: deviation > 1e-12 * Math.abs(mean) && deviation > 0 ? deviation : 1 };
}

/** Linear between values, each of which stands in the middle of its weight. */
export function quantile({ values, weights }: Weighed, share: number): number {
  if (values.length === 0) return 0;
  if (weights) return weighedQuantile(values, weights, share);
  const at = share * (values.length - 1);
  const low = values[Math.floor(at)]!;
  return low + (values[Math.ceil(at)]! - low) * (at - Math.floor(at));
}

function weighedQuantile(values: Float64Array, weights: Float64Array, share: number): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  // Where gaps have gone, those that are left need not have a mean of 1.
  const unit = total / values.length;
  const wanted = share * (total - unit);
  let before = 0;
  let last = Number.NaN;
  for (let i = 0; i < values.length; i++) {
    const middle = before + (weights[i]! - unit) / 2;
    if (middle >= wanted) {
      if (i === 0) return values[0]!;
      return values[i - 1]! + ((values[i]! - values[i - 1]!) * (wanted - last)) / (middle - last);
    }
    last = middle;
    before += weights[i]!;
  }
  return values.at(-1)!;
}
