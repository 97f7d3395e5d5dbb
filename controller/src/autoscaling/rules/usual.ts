// What is usual of a figure that is looked at again and again: exponentially weighted mean and variance.

export interface Usual {
  mean: number;
  variance: number;
  /** From so many looks. */
  looks: number;
}

export const unknown: Usual = { mean: 0, variance: 0, looks: 0 };

/**
 * West's incremental form (Communications of the ACM 22, 1979) of an exponentially weighted variance; the first looks count alike.
 * @param weight Of the newest look.
 */
export function noted({ mean, variance, looks }: Usual, value: number, weight: number): Usual {
  const share = Math.max(weight, 1 / (looks + 1));
  const difference = value - mean;
  return {
    mean: mean + share * difference,
    variance: (1 - share) * (variance + share * difference * difference),
    looks: looks + 1,
  };
}
