// What lists are cut to, bank by bank: what one bank has most of is to hide nothing of another, as negative banks
// suppress some and not others.

/** The first so many of each bank, in the order that they come in. */
export function firstOfEach<T>(items: readonly T[], bankOf: (item: T) => number, most: number): T[] {
  const taken = new Map<number, number>();
  return items.filter((item) => {
    const bank = bankOf(item);
    const count = taken.get(bank) ?? 0;
    taken.set(bank, count + 1);
    return count < most;
  });
}

/** What each of several banks gets of a total: so many at least. */
export function shareOfEach(total: number, fewest: number, banks: number): number {
  return Math.max(fewest, Math.floor(total / Math.max(1, banks)));
}
