import { describe, expect, it } from 'vitest';
import { featuresOfRows } from './features.ts';

describe('features of rows to predict', () => {
  it('miss a column that a row lacks, though every object has something by its name', () => {
    const problems: string[] = [];
    const [words, numbers] = featuresOfRows(
      [
        { name: 'toString', column: 'toString', type: 'Categorical', kind: 'Category', levels: ['a'] },
        { name: 'constructor', column: 'constructor', type: 'Numeric', kind: 'Value' },
      ],
      [{}, { toString: 'a', constructor: 2 }],
      (_row, _column, text) => problems.push(text),
    );
    expect(problems).toEqual([]);
    expect([...words!.codes!]).toEqual([-1, 0]);
    expect([...numbers!.values!]).toEqual([Number.NaN, 2]);
  });
});
