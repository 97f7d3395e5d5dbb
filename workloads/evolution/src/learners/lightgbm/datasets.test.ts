import { describe, expect, it } from 'vitest';
import { Datasets, datasetBytes } from './datasets.ts';

describe('binned matrices', () => {
  const matrix = { rows: 10, columns: 10 };
  const opened = (most: number) => {
    const freed: bigint[] = [];
    const datasets = new Datasets(most, (handle) => freed.push(handle));
    let handles = 0n;
    const used = (key: string | undefined, linear = false) => {
      const taken = datasets.take(key, datasetBytes(matrix, linear), () => ++handles);
      datasets.giveBack(taken);
      return taken.handle;
    };
    return { datasets, used, freed };
  };

  it('are found again by their key, and the longest unused go first', () => {
    const { used, freed } = opened(250);
    expect([used('a'), used('b'), used('a'), used('c')]).toEqual([1n, 2n, 1n, 3n]);
    expect(freed).toEqual([2n]);
    expect([used('a'), used('b')]).toEqual([1n, 4n]);
  });

  it('of linear trees count with the numbers that they keep', () => {
    const plain = opened(1000);
    for (let i = 0; i < 10; i++) plain.used(`plain ${i}`);
    expect(plain.freed).toEqual([]);
    const linear = opened(1000);
    for (let i = 0; i < 3; i++) linear.used(`linear ${i}`, true);
    expect(linear.freed).toEqual([1n]);
  });

  it('are not freed while somebody uses them, nor kept without a key', () => {
    const { datasets, used, freed } = opened(100);
    const inUse = datasets.take('a', 100, () => 100n);
    used('b');
    expect(freed).toEqual([]);
    datasets.giveBack(inUse);
    expect(freed).toEqual([100n]);
    const alone = used(undefined);
    expect(freed).toEqual([100n, alone]);
  });
});
