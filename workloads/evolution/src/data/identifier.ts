// Whole numbers that name a row rather than say something about it.
import type { NumericColumn } from './columns.ts';

/**
 * Whole numbers that never repeat where chance would have repeated some (the birthday bound over their range), in whatever order;
 * or that repeat little, in a column that is called an identifier.
 */
export function isIdentifier({ name, values }: Pick<NumericColumn, 'name' | 'values'>): boolean {
  // Most columns have a fraction in their first rows: of millions only whole numbers are put in order.
  if (values.some((value) => !Number.isInteger(value) && !Number.isNaN(value))) return false;
  const present = values.filter((value) => !Number.isNaN(value)).sort();
  const n = present.length;
  if (n < 50) return false;
  let repeats = 0;
  for (let i = 1; i < n; i++) if (present[i] === present[i - 1]) repeats++;
  const range = present[n - 1]! - present[0]! + 1;
  if (repeats === 0 && (n * n) / (2 * range) >= 8) return true;
  return (
    repeats < n / 2 &&
    /(^|[^a-z])(id|uid|uuid|guid|key|index)$|[a-z]Id$/.test(/[a-z]Id$/.test(name) ? name : name.toLowerCase())
  );
}
