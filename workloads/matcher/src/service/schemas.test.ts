import { describe, expect, it } from 'vitest';
import { itemBody } from './schemas.ts';

describe('the body of an item', () => {
  const item = (more: object) => itemBody.safeParse({ id: 'one', profile: { name: 'Konstantina' }, ...more }).success;
  const nested = (levels: number) => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`) as unknown;

  it('is refused where PostgreSQL would keep other text than was given', () => {
    expect(item({ id: 'fresh\u{1f600}' })).toBe(true);
    for (const bad of ['fresh\udc11zz', 'fresh\0zz']) {
      expect(item({ id: bad })).toBe(false);
      expect(item({ bank: bad })).toBe(false);
      expect(item({ profile: { name: bad } })).toBe(false);
      expect(item({ profile: { aliases: [bad] } })).toBe(false);
    }
  });

  it('is refused where its metadata is nested deeper than it can be written', () => {
    expect(item({ metadata: { deep: nested(30) } })).toBe(true);
    expect(item({ metadata: { deep: nested(3_000) } })).toBe(false);
  });
});
