// Waits for something that another process brings about.

/** Repeats `check` until it returns without throwing; after `milliseconds` its last error is thrown. */
export async function eventually<T>(check: () => T | Promise<T>, milliseconds = 15_000): Promise<T> {
  const until = Date.now() + milliseconds;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}
