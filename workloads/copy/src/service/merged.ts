// What several generators give, as it comes.

/** The first that throws ends all. */
export async function* merged<T, R>(
  generators: readonly AsyncGenerator<T, R, void>[],
): AsyncGenerator<{ index: number; result: IteratorResult<T, R> }, void, void> {
  const next = (index: number) => {
    const result = (generators[index] as AsyncGenerator<T, R, void>).next().then((each) => ({ index, result: each }));
    // It may fail while the consumer is busy and nobody waits for it: what it fails with is thrown when it is asked for.
    result.catch(() => undefined);
    return result;
  };
  const open = new Map(generators.map((_, index) => [index, next(index)]));
  try {
    while (open.size > 0) {
      const one = await Promise.race(open.values());
      if (one.result.done) open.delete(one.index);
      else open.set(one.index, next(one.index));
      yield one;
    }
  } finally {
    // Those that wait for a turn or a token end by their signal.
    for (const each of generators) void each.return(undefined as never).catch(() => undefined);
  }
}
