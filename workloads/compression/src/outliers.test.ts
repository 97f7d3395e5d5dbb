import { describe, expect, test } from 'vitest';
import { compress } from './compress.ts';
import { columnOutliers } from './outliers.ts';

const found = (values: (string | number)[]): number[] => columnOutliers(values.map(String)).map(({ index }) => index);
const spread = (i: number): number => (i * 7919) % 100;

describe('a column', () => {
  test('shows the rare value among few', () => {
    expect(found([...Array.from({ length: 90 }, (_, i) => (i % 3 ? 200 : 201)), 503, 200])).toEqual([90]);
  });

  test('shows a number far from all others', () => {
    expect(found([...Array.from({ length: 60 }, (_, i) => `${20 + spread(i) / 5}ms`), '31000ms'])).toEqual([60]);
  });

  test('of evenly spread numbers, of identifiers and of few rows shows none', () => {
    expect(found(Array.from({ length: 80 }, (_, i) => spread(i) * 91))).toEqual([]);
    expect(found(Array.from({ length: 80 }, (_, i) => `id-${spread(i)}-${i}`))).toEqual([]);
    expect(found([1, 1, 1, 9])).toEqual([]);
  });
});

describe('at sixteen times', () => {
  test('a log keeps the lines that are unlike the rest, with an unrelated query too', () => {
    const lines = Array.from(
      { length: 240 },
      (_, i) =>
        `2026-11-20T08:00:00.${100 + i}Z INFO [http] GET /orders/${spread(i) * 31} 200 ${5 + (spread(i) % 30)}ms`,
    );
    lines[77] = '2026-11-20T08:00:00.177Z ERROR [db] connection refused by replica 4';
    lines[150] = '2026-11-20T08:00:00.250Z INFO [http] GET /orders/31 200 48200ms';
    for (const query of ['', 'orders 31']) {
      const { text, compressedTokens, originalTokens } = compress({ text: `${lines.join('\n')}\n`, ratio: 16, query });
      expect(text).toContain(lines[77]);
      expect(text).toContain(lines[150]);
      expect(originalTokens / compressedTokens).toBeGreaterThan(15);
    }
  });

  test('JSON keeps the record that is unlike the rest, inside its brackets', () => {
    const rows = Array.from({ length: 80 }, (_, i) => ({
      id: `o-${i}`,
      city: ['Graz', 'Cork'][i % 2],
      amount: 20 + spread(i) / 3,
      status: 'paid',
    }));
    (rows[33] as { status: string }).status = 'chargeback';
    const { text } = compress({ text: JSON.stringify({ orders: rows }), ratio: 16 });
    expect(text).toMatch(/^\{"orders":\[.*"o-33".*"chargeback".*\]\}$/s);
  });
});
