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

  test('shortens a message at once that outweighs those after it, and never takes that back', () => {
    const heavy = fc.record({
      role: fc.constantFrom('user' as const, 'assistant' as const, 'tool' as const),
      content: fc.constantFrom('ok', long, long.repeat(4)),
    });
    fc.assert(
      fc.property(fc.array(heavy, { maxLength: 10 }), fc.nat(10), fc.nat(3), (messages, cut, keepRecent) => {
        const earlier = compressConversation({ messages: messages.slice(0, cut), keepRecent });
        const later = compressConversation({ messages, keepRecent });
        expect(later.stable).toBeGreaterThanOrEqual(earlier.stable);
        expect(later.messages.slice(0, earlier.stable)).toEqual(earlier.messages.slice(0, earlier.stable));
      }),
      { numRuns: 60 },
    );
    const messages: Message[] = [
      { role: 'tool', content: long },
      { role: 'assistant', content: 'I see.' },
      { role: 'user', content: 'And then?' },
    ];
    const { stable, rate } = compressConversation({ messages, keepRecent: 2, ratio: 4 });
    expect(stable).toBe(1);
    expect(rate).toMatchObject({ requested: 4, met: true });
  });

  test('says what was asked, what was reached, and why less', () => {
    const rateOf = (messages: Message[]) => compressConversation({ messages, keepRecent: 2, ratio: 4 }).rate;
    const turn: Message = { role: 'assistant', content: long };
    expect(rateOf([turn, turn, turn, turn, turn])).toEqual({
      requested: 4,
      reached: 1,
      met: false,
      reason: '5 messages: shortened from 6 on, or once one outweighs the 2 after it',
    });
    const mixed: Message[] = [
      { role: 'system', content: long },
      { role: 'user', content: long },
      { role: 'user', content: 'Go on.' },
    ];
    expect(rateOf([...mixed, turn, turn, turn, turn]).reason).toBe(
      'the last 3 are left as they are until there are 10; kept by their role or policy: 1; ' +
        'shorter than 40 tokens: 1; held to a lower ratio by their role or policy: 1',
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
