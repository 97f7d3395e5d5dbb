import { expect, it } from 'vitest';
import { jsonOf, startOf } from './text.ts';

it('the start of a text has no half of a character', () => {
  expect(startOf(`${'a'.repeat(79)}😀b`, 80)).toBe('a'.repeat(79));
  expect(startOf(`${'a'.repeat(78)}😀b`, 80)).toBe(`${'a'.repeat(78)}😀`);
  expect(startOf('\ud83db', 80)).toBe('\ufffdb');
  expect(startOf('short', 80)).toBe('short');
});

it('JSON for the registry has nothing that jsonb refuses', () => {
  expect(jsonOf({ notes: [`cut\ud83d`, 'nul\0', 'whole😀', 1, null] })).toBe(
    '{"notes":["cut\ufffd","nul\ufffd","whole😀",1,null]}',
  );
});
