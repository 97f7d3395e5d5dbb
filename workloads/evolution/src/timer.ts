// Timers for durations that people give: `setTimeout` counts to 25 days, and ends anything longer at once.

/** Milliseconds. */
const longest = 2 ** 31 - 1;

/** @returns what stops it */
export function after(milliseconds: number, work: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = (left: number): void => {
    timer = setTimeout(() => (left > longest ? wait(left - longest) : work()), Math.min(left, longest));
  };
  wait(milliseconds);
  return () => clearTimeout(timer);
}
