// What becomes of answers that fail, are broken off or shared; the model is a script here, for the order of events matters.
import { createCache, memoryTier, Registry } from '@quintet/runtime';
import { expect, test } from 'vitest';
import type { TextModel, TextRequest } from '../models/model.ts';
import type { Accounts } from './accounts.ts';
import { type Answer, type Ask, generator } from './generator.ts';
import type { Semantic } from './semantic.ts';
import { turns } from './turns.ts';

/** A generator over a model that does as `generate` says, and what was settled and answered from the cache. */
function over(generate: TextModel['generate'], semantic?: Semantic) {
  const settled: unknown[] = [];
  const cached: unknown[] = [];
  const registry = new Registry();
  const accounts: Accounts = {
    idle: async () => undefined,
    open: async () => ({
      begin: async () => undefined,
      settle: async (used, state) => void settled.push({ ...used, state }),
    }),
    cached: (_, used) => void cached.push(used),
  };
  const model: TextModel = {
    id: 'm',
    revision: '1',
    parallel: 4,
    countTokens: () => 7,
    generate,
    close: async () => undefined,
  };
  const context = { registry, config: { generation: { overflow: 'Refuse' } } } as Parameters<
    typeof generator
  >[0]['context'];
  const cache = createCache<Answer[]>({
    name: 'c',
    kind: 'answer',
    version: '1',
    tiers: [memoryTier({ maxBytes: 1e6 })],
  });
  const queue = turns({ parallel: () => 4, maxQueue: 8, weightOf: () => 1 });
  return { ...generator({ model, cache, turns: queue, accounts, context, semantic }), settled, cached, cache };
}

const ask = (more: Partial<Ask> = {}): Ask => ({
  prompt: { text: 'Say' },
  tenant: 'a',
  seed: 1,
  n: 1,
  maxTokens: 8,
  temperature: 1,
  topP: 1,
  topK: 0,
  repetitionPenalty: 1,
  stop: [],
  priority: 'Normal',
  deadline: undefined,
  version: '',
  tag: '',
  cached: true,
  ...more,
});
const never = new AbortController().signal;

test('an answer that fails while the client reads another is thrown when it is asked for', async () => {
  const fails = Promise.withResolvers<void>();
  const { stream } = over(async function* ({ seed }: TextRequest) {
    if (seed === 1) yield 'first';
    await fails.promise;
    throw new Error('the model broke');
  });
  const events = stream(ask({ n: 2, cached: false }), never);
  expect((await events.next()).value).toEqual({ index: 0, text: 'first' });
  fails.resolve();
  // Nobody waits for the stream now: what failed must not end the process.
  await new Promise((resolve) => setTimeout(resolve, 10));
  await expect(events.next()).rejects.toThrow('the model broke');
});

test('an answer that is broken off is settled by what the model did, not by its pieces', async () => {
  const { stream, settled } = over(async function* ({ used }: TextRequest, signal) {
    Object.assign(used as object, { promptTokens: 5, completionTokens: 3 });
    yield 'three tokens';
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    throw new Error('never');
  });
  const control = new AbortController();
  const events = stream(ask(), control.signal);
  await events.next();
  control.abort(new Error('gone'));
  await expect(events.next()).rejects.toThrow('gone');
  expect(settled).toEqual([{ promptTokens: 5, completionTokens: 3, state: 'Aborted' }]);
});

test('who joins an answer that another asked for keeps to an own deadline and has an own line', async () => {
  const go = Promise.withResolvers<void>();
  const { answers, settled, cached } = over(async function* () {
    await go.promise;
    yield 'text';
    return { finish: 'stop', promptTokens: 7, completionTokens: 1 };
  });
  const late = answers(ask({ deadline: Date.now() + 200 }), never);
  const patient = answers(ask(), never);
  await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  go.resolve();
  expect((await patient).answers).toMatchObject([{ text: 'text' }]);
  expect(settled).toEqual([{ promptTokens: 7, completionTokens: 1, state: 'Done' }]);
  expect(cached).toMatchObject([{ promptTokens: 7, completionTokens: 1 }]);
});

test('answers to another request that means the same are not kept anew: they live no longer than that one', async () => {
  const found: Answer[] = [{ text: 'meant', finish: 'stop', promptTokens: 7, completionTokens: 1, similarity: 0.98 }];
  const looks: { found?: Answer[] }[] = [{ found }, { found }, {}];
  const { answers, cached, cache } = over(
    async function* () {
      yield 'anew';
      return { finish: 'stop', promptTokens: 7, completionTokens: 1 };
    },
    { look: async () => ({ ...looks.shift(), keep: () => undefined }) },
  );
  const meant = () => answers(ask({ meaning: { same: 1, texts: [] } }), never);
  // Two at once: the second joins, and each has its line.
  const both = await Promise.all([meant(), meant()]);
  expect(both.map((each) => each.answers)).toEqual([found, found]);
  expect(cached).toHaveLength(2);
  expect(cache.stats().tiers.memory?.usage?.entries).toBe(0);
  expect((await meant()).answers).toEqual(found);
  // The other one is too old, or was purged.
  expect((await meant()).answers).toMatchObject([{ text: 'anew' }]);
});
