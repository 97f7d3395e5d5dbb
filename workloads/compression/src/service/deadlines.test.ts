// Conversations and deadlines: what one caller asks for changes nothing for others, or later.
import { expect, test } from 'vitest';
import { textOfSpans } from '../render.ts';
import { engines, long, replica, shareOneService } from './fixtures/replicas.ts';

shareOneService();

test('keeps the compressed start of a dialogue byte for byte', async () => {
  const { client } = await replica({ conversations: { keepLast: 1, protectedRoles: ['System'] } }, false);
  const messages = [
    { role: 'system' as const, content: long },
    ...Array.from({ length: 8 }, (_, i) => ({ role: 'assistant' as const, content: `${i}. ${long}` })),
  ];
  const earlier = await client().compress({ messages: messages.slice(0, 6) });
  const later = await client().compress({ messages });
  expect(earlier.stable).toBeGreaterThan(0);
  expect(later.messages?.slice(0, earlier.stable)).toEqual(earlier.messages?.slice(0, earlier.stable));
  expect(later.messages?.[0]?.content).toBe(long);
  expect(later.ratio).toBeGreaterThan(1.5);
  expect(later.rate).toMatchObject({
    requested: 8,
    reached: later.ratio,
    reason: expect.stringContaining('kept by'),
  });
});

test('returns the text unchanged with the reason when the deadline passes', async () => {
  const { client } = await replica(
    { compression: { maxInputTokens: 1_000_000 }, rateLimits: { maxBodySize: '16Mi' } },
    false,
  );
  const text = long.repeat(60);
  const answer = await client().compress({ text, ratio: 8, deadlineMs: 1 });
  expect(answer).toMatchObject({ text, ratio: 1, unchanged: 'the deadline of 1 ms passed' });
});

test('a deadline is of its caller alone, whoever began the work', async () => {
  const { client } = await replica(
    { compression: { maxInputTokens: 1_000_000 }, rateLimits: { maxBodySize: '16Mi' } },
    false,
  );
  for (const [turn, order] of [
    ['first', [2, undefined]],
    ['second', [undefined, 2]],
  ] as const) {
    const text = `${turn}. ${long.repeat(20)}`;
    const [a, b] = order.map((deadlineMs) => client().compress({ text, ratio: 8, ...(deadlineMs && { deadlineMs }) }));
    const [late, patient] = order[0] === undefined ? [await b, await a] : [await a, await b];
    expect(late).toMatchObject({ text, unchanged: 'the deadline of 2 ms passed' });
    expect(patient?.unchanged).toBeUndefined();
    expect(patient?.rate?.met).toBe(true);
  }
});

test('what threads were called off from, they are ready again for', async () => {
  const { client } = await replica({ compression: { latencyBudget: '3s' } }, false);
  const hasty = Array.from({ length: 6 }, (_, i) =>
    client().compress({ text: `${i}. ${long.repeat(8)}`, ratio: 8, deadlineMs: 1 }),
  );
  expect((await Promise.all(hasty)).map(({ ratio }) => ratio)).toEqual([1, 1, 1, 1, 1, 1]);
  expect((await client().compress({ text: `Then. ${long}`, ratio: 8 })).unchanged).toBeUndefined();
});

test('gives back what was left out of messages, and does them once', async () => {
  const { client } = await replica({ conversations: { keepLast: 1, policies: [{ tag: 'bulk', ratio: 4 }] } }, false);
  const messages = [
    { role: 'system' as const, content: `Rules. ${long}`, tags: ['bulk'] },
    ...Array.from({ length: 4 }, (_, i) => ({
      role: 'assistant' as const,
      content: `${i}. ${long}`,
      tags: ['bulk'],
    })),
  ];
  const answer = await client().compress({ messages, strategy: 'hierarchical' });
  expect(answer.messages?.[0]?.content).toBe(messages[0]?.content);
  expect(answer.compressed?.map(({ message }) => message)).toEqual([1, 2, 3]);
  for (const { message, original, spans, strategy } of answer.compressed ?? []) {
    expect(strategy).toBe('hierarchical');
    const source = messages[message]?.content ?? '';
    expect(await client().original(original?.id ?? '')).toBe(source);
    expect(textOfSpans(source, spans as never)).toBe(answer.messages?.[message]?.content);
  }
  const before = (await (await fetch(new URL('/metrics', engines.at(-1)?.url))).text()).match(
    /tokens_total.*"in".*/,
  )?.[0];
  await client().compress({ messages, strategy: 'hierarchical' });
  const after = (await (await fetch(new URL('/metrics', engines.at(-1)?.url))).text()).match(
    /tokens_total.*"in".*/,
  )?.[0];
  expect(after).toBe(before);
  for (const [field, value] of Object.entries({
    targetTokens: 10,
    query: 'what?',
    protect: [{ start: 0, end: 1 }],
    fidelity: true,
    baseId: '0'.repeat(32),
  }))
    await expect(client().compress({ messages, [field]: value })).rejects.toMatchObject({ status: 400, field });
});
