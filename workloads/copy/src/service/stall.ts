// Ends streams that nobody reads: a client that keeps its connection but reads nothing would hold a place of the model for ever.

/** The same values; calls `stalled` when none was taken for `limit` milliseconds while one was offered. */
export async function* whileRead<T>(
  values: AsyncGenerator<T, void, void>,
  limit: number,
  stalled: () => void,
): AsyncGenerator<T, void, void> {
  let timer: NodeJS.Timeout | undefined;
  try {
    for await (const value of values) {
      timer = setTimeout(stalled, limit);
      yield value;
      clearTimeout(timer);
    }
  } finally {
    clearTimeout(timer);
  }
}
