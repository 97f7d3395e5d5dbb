import { expect, test } from 'vitest';
import { boundedPrompt } from './prompt.ts';

const words = (characters: number) => 'word '.repeat(characters / 5);

test('a prompt that cannot fit is refused before its tokens are counted, naming its field', () => {
  expect(() => boundedPrompt({ text: words(1700) }, 100, 'Refuse')).toThrow(/1700 characters.*100 tokens/);
  const messages = [{ role: 'user' as const, content: words(1700) }];
  expect(() => boundedPrompt({ messages }, 100, 'Refuse')).toThrow(
    expect.objectContaining({ details: expect.objectContaining({ field: 'messages' }) }),
  );
  const fits = { text: words(1600) };
  expect(boundedPrompt(fits, 100, 'Refuse')).toBe(fits);
  const unknown = { text: words(1_000_000) };
  expect(boundedPrompt(unknown, undefined, 'Refuse')).toBe(unknown);
});

test('a prompt that may be cut keeps its end', () => {
  expect(boundedPrompt({ text: `old ${words(1600)}` }, 100, 'Truncate')).toEqual({ text: words(1600) });
  const messages = [
    { role: 'system' as const, content: words(1000) },
    { role: 'user' as const, content: words(1000) },
    { role: 'assistant' as const, content: words(1000) },
  ];
  expect(boundedPrompt({ messages }, 100, 'Truncate')).toEqual({
    messages: [
      { role: 'user', content: words(600) },
      { role: 'assistant', content: words(1000) },
    ],
  });
});

test.each([
  ['letters', 'a'.repeat(8001)],
  ['marks', '!'.repeat(8001)],
])('a long run of %s without a break is refused', (_, text) => {
  expect(() => boundedPrompt({ text }, 100_000, 'Refuse')).toThrow(/without a break/);
});

test.each([
  ['sentences without spaces', '买一盏灯。'.repeat(4000)],
  ['words', words(20_000)],
])('a long text of %s is taken', (_, text) => {
  expect(boundedPrompt({ text }, 100_000, 'Refuse')).toEqual({ text });
});
