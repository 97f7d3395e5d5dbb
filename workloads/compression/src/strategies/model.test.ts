import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { classifierTable, embeddingTable, keepLogit, writeModel } from '@quintet/runtime/testing';
import { modelTokens, openClassifier, openEmbedding, similarity, tokenizerFilesIn } from '@quintet/runtime/texts';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { compress } from '../compress.ts';
import { textOfSpans } from '../render.ts';
import { scanWords } from '../words.ts';
import { modelStrategy } from './model.ts';

const folder = mkdtempSync(join(tmpdir(), 'quintet-models-'));
afterAll(() => rmSync(folder, { recursive: true }));
const classifier = writeModel(join(folder, 'classifier'), 'logits', classifierTable);
const embedding = writeModel(join(folder, 'embedding'), 'last_hidden_state', embeddingTable);
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const wordsOf = (text: string) => {
  const { start, end } = scanWords(text);
  return { start, end };
};

describe('windows of a text', () => {
  test('hold every word once, in order, between the special tokens, and are no longer than the model takes', () => {
    const tokens = modelTokens(tokenizerFilesIn(join(folder, 'classifier')));
    const text = Array.from({ length: 60 }, (_, i) => (i % 2 ? 'beta.' : 'the alpha')).join(' ');
    const { start, end } = scanWords(text);
    const words = Array.from(start, (from, i) => ({ start: from, end: end[i] as number }));
    const windows = [...tokens.windows(text, words)];
    expect(windows.length).toBeGreaterThan(3);
    for (const { ids } of windows) {
      expect(ids.length).toBeLessThanOrEqual(16);
      expect([ids[0], ids.at(-1)]).toEqual([2, 3]);
    }
    expect(windows.flatMap((window) => [...window.words].filter((word) => word >= 0))).toEqual(words.map((_, i) => i));
  });
});

describe('a classifier', () => {
  test('gives each word the probability of its tokens, whatever window it stands in', async () => {
    const model = await openClassifier({ model: classifier });
    const text = `Alpha delta, the beta. ${'gamma '.repeat(40)}epsilon`;
    const scores = await model.score(text, wordsOf(text));
    expect(scores[0]).toBeCloseTo(sigmoid(4), 5);
    expect(scores[1]).toBeCloseTo(sigmoid(-4), 5);
    expect(scores[3]).toBeCloseTo(sigmoid(1), 5);
    expect(scores.at(-1)).toBeCloseTo(sigmoid(2), 5);
    expect(scores).toHaveLength(45);
    await model.close();
  });

  test('serves texts that are asked for at once in common batches, each with its own scores', async () => {
    const model = await openClassifier({ model: classifier }, { maxSize: 8, maxWait: 5 });
    const words = Object.keys(keepLogit);
    const texts = Array.from({ length: 30 }, (_, i) => `${words[i % words.length]} `.repeat((i % 20) + 1));
    const all = await Promise.all(texts.map((text) => model.score(text, wordsOf(text))));
    all.forEach((scores, i) => {
      expect(scores).toHaveLength((i % 20) + 1);
      for (const score of scores)
        expect(score).toBeCloseTo(sigmoid(keepLogit[words[i % words.length] as string] as number), 5);
    });
    await model.close();
  });

  test('is refused when it is missing, damaged, without a tokenizer, or no token classifier', async () => {
    const wide = writeModel(join(folder, 'wide'), 'logits', () => [1, 2, 3, 4]);
    const bare = join(folder, 'bare.onnx');
    writeFileSync(bare, 'no model');
    await expect(openClassifier({ model: wide })).rejects.toMatchObject({ code: 'MODEL_INVALID' });
    await expect(openClassifier({ model: bare })).rejects.toMatchObject({ code: 'MODEL_MISSING' });
    await expect(openClassifier({ model: bare, folder: join(folder, 'wide') })).rejects.toMatchObject({
      code: 'MODEL_INVALID',
    });
    writeFileSync(join(folder, 'tokenizer.json'), '{"model":');
    await expect(openClassifier({ model: bare })).rejects.toMatchObject({ code: 'MODEL_INVALID' });
  });
});

test('the strategy keeps the laws: source tokens, tiles, the rate, and what must stay', async () => {
  const model = await openClassifier({ model: classifier });
  const words = ['alpha', 'the', 'delta', 'beta', 'gamma', 'epsilon'];
  const text = Array.from(
    { length: 80 },
    (_, i) =>
      `The ${words[i % 6]} of ${words[(i * 5) % 6]} and ${words[(i * 7) % 6]} is not ${i * 13} ${words[i % 5]} today. `,
  ).join('');
  const scores = await model.score(text, wordsOf(text));
  const plugins = [modelStrategy({ name: 'test', score: () => scores })];
  for (const ratio of [2, 4, 8]) {
    const protect = [{ start: 0, end: 30 }];
    const result = compress({ text, ratio, strategy: 'model', plugins, protect });
    expect(textOfSpans(text, result.spans)).toBe(result.text);
    expect(result.rate.met).toBe(true);
    expect(result.text.startsWith(text.slice(0, 30))).toBe(true);
    const count = (word: string): number => result.text.split(new RegExp(`\\b${word}\\b`)).length - 1;
    expect(count('alpha') / (text.split('alpha').length - 1)).toBeGreaterThan(
      count('delta') / (text.split('delta').length - 1),
    );
    const whole = result.text.split('. ').filter((sentence) => sentence.includes('today'));
    expect(whole.filter((sentence) => !/not \d+/.test(sentence))).toEqual([]);
  }
  await model.close();
});

test('an embedding tells texts of one direction from texts of another, of any length', async () => {
  const model = await openEmbedding({ model: embedding });
  const [a, b, mixed, empty] = await Promise.all(
    ['alpha beta '.repeat(300), 'beta', 'alpha gamma', '…'].map((text) => model.embed(text)),
  );
  expect(similarity(a as Float32Array, b as Float32Array)).toBeCloseTo(1, 3);
  expect(similarity(a as Float32Array, mixed as Float32Array)).toBeCloseTo(Math.SQRT1_2, 3);
  expect(similarity(empty as Float32Array, empty as Float32Array)).toBe(1);
  await model.close();
});

test('an embedding reads no more of a long text than it looks at, from its beginning to its end', async () => {
  const model = await openEmbedding({ model: embedding });
  const half = 300_000;
  const text = 'alpha '.repeat(half) + 'gamma '.repeat(half);
  const looked = vi.spyOn(String.prototype, 'matchAll');
  const [whole, short] = [await model.embed(text), await model.embed('alpha gamma')];
  const read = looked.mock.contexts.reduce((sum: number, each) => sum + String(each).length, 0);
  looked.mockRestore();
  expect(read).toBeLessThan(50_000);
  expect(similarity(whole, short)).toBeCloseTo(1, 3);
  await model.close();
});
