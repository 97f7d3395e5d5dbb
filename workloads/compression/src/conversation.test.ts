import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compressConversation, type Message } from './conversation.ts';

const sentence = fc
  .tuple(
    fc.constantFrom('The build', 'Our customer', 'A replica', 'Nobody'),
    fc.constantFrom('moved', 'failed', 'answered'),
    fc.nat(9999),
  )
  .map(([who, did, number]) => `${who} ${did} at step ${number} of the plan. `);
const message: fc.Arbitrary<Message> = fc.record({
  role: fc.constantFrom('system' as const, 'user' as const, 'assistant' as const, 'tool' as const),
  content: fc.array(sentence, { maxLength: 30 }).map((parts) => parts.join('')),
});
const long = Array.from({ length: 60 }, (_, i) => `Item ${i} is stored in cabinet ${i * 17} on floor ${i % 5}. `).join(
  '',
);

describe('a conversation', () => {
  test('keeps the bytes of its compressed prefix as it grows', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 20 }), fc.nat(20), fc.constantFrom(2, 8), (messages, cut, ratio) => {
        const earlier = compressConversation({ messages: messages.slice(0, cut), ratio });
        const later = compressConversation({ messages, ratio });
        expect(later.messages.slice(0, earlier.stable)).toEqual(earlier.messages.slice(0, earlier.stable));
        expect(later.stable).toBeGreaterThanOrEqual(earlier.stable);
      }),
      { numRuns: 60 },
    );
  });

  test('leaves instructions and recent messages as they are', () => {
    const messages: Message[] = [
      { role: 'system', content: long },
      ...Array.from({ length: 9 }, () => ({ role: 'assistant' as const, content: long })),
    ];
    const { messages: out, stable } = compressConversation({ messages, keepRecent: 2, step: 4 });
    expect(stable).toBe(8);
    expect(out[0]?.content).toBe(long);
    expect(out[1]?.content.length).toBeLessThan(long.length / 5);
    expect(out.slice(8)).toEqual(messages.slice(8));
  });

  test('follows the first policy that matches a role, tool or tag', () => {
    const messages: Message[] = [
      { role: 'tool', tool: 'search', content: long },
      { role: 'tool', tool: 'read', content: long },
      { role: 'assistant', tags: ['decision'], content: long },
      { role: 'assistant', content: long },
    ];
    const { results } = compressConversation({
      messages,
      keepRecent: 0,
      ratio: 4,
      policies: [
        { tag: 'decision', action: 'Keep' },
        { role: 'tool', tool: 'search', action: 'Compress', ratio: 16 },
      ],
    });
    expect(results.map((result) => (result ? (result.ratio > 12 ? 'much' : 'some') : 'none'))).toEqual([
      'much',
      'some',
      'none',
      'some',
    ]);
  });

  test('keeps protected parts exactly', () => {
    const start = long.indexOf('Item 31');
    const part = long.slice(start, long.indexOf('Item 32'));
    const messages: Message[] = [{ role: 'assistant', content: long, protect: [{ start, end: start + part.length }] }];
    const { messages: out } = compressConversation({ messages, keepRecent: 0, step: 1, ratio: 32 });
    expect(out[0]?.content).toContain(part);
  });
});
