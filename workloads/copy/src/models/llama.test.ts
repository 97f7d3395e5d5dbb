// What llama.cpp is asked to compute, told by its batches: no clock, and so the same on any machine.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomModel } from '../testing/gguf.ts';
import { type LlamaBase, openLlama } from './llama.ts';
import type { Usage } from './model.ts';
import type { Batch } from './steps.ts';

let folder: string;
let model: LlamaBase;
const batches: Batch[] = [];
const tokensRead = () => batches.reduce((sum, { promptTokens }) => sum + promptTokens, 0);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quintet-llama-'));
  const path = join(folder, 'small.gguf');
  randomModel(path, { layers: 2, width: 64, heads: 2, context: 2048 });
  const onBatch = (batch: Batch) => void batches.push(batch);
  const own = { path, id: 'small', revision: '', gpu: false, threads: 1 };
  model = await openLlama({ ...own, contextTokens: 2048, sequences: 2, onBatch });
}, 60_000);

afterAll(async () => {
  await model?.close();
  rmSync(folder, { recursive: true, force: true });
});

const ask = (text: string, maxTokens: number, more: { signal?: AbortSignal; used?: Usage } = {}) => {
  const sampling = { temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1, seed: 7, stop: [] };
  const request = {
    tenant: 'a',
    prompt: { text },
    overflow: 'Refuse',
    maxTokens,
    used: more.used,
    ...sampling,
  } as const;
  return model.generate(request, more.signal ?? new AbortController().signal);
};
const long = (name: string) => name.padEnd(1900, ' word');

async function textOf(pieces: AsyncGenerator<string, unknown, void>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
}

describe('a client that goes away while its prompt is read', () => {
  test('costs one more part of it at most, and its place is free for the next', async () => {
    // Beside short prompts a long one is read in small parts.
    const control = new AbortController();
    const used = { promptTokens: 0, completionTokens: 0 };
    const stays = ask('stays', 1000, { signal: control.signal });
    await stays.next();
    const gone = new AbortController();
    const leaving = ask(long('leaves'), 8, { signal: gone.signal, used }).next();
    const ended = Promise.allSettled([leaving]);
    const before = tokensRead();
    while (tokensRead() < before + 100) await stays.next();
    gone.abort(new Error('the client went'));
    const [at, steps] = [tokensRead(), batches.length];
    expect(await ended).toMatchObject([{ status: 'rejected', reason: { message: 'the client went' } }]);
    expect(batches.length - steps).toBeLessThanOrEqual(1);
    expect(tokensRead() - at).toBeLessThan(512);
    // What it had cost by then is known.
    expect(used.promptTokens).toBeGreaterThanOrEqual(100);
    expect(used.promptTokens).toBeLessThan(1900);
    expect(used.completionTokens).toBe(0);
    // Both places are taken only if that one is free.
    expect(await textOf(ask('comes', 4))).not.toBe('');
    control.abort(new Error('enough'));
    await expect(textOf(stays)).rejects.toThrow('enough');
  });

  test('leaves nothing of its prompt in what the next one is answered', async () => {
    const alone = await textOf(ask(long('next'), 8));
    const gone = new AbortController();
    const before = tokensRead();
    const leaving = Promise.allSettled([ask(long('leaves in the middle'), 8, { signal: gone.signal }).next()]);
    while (tokensRead() === before) await new Promise((resolve) => setImmediate(resolve));
    gone.abort(new Error('the client went'));
    await leaving;
    expect(await textOf(ask(long('next'), 8))).toBe(alone);
  });
});

test('answers in work are computed together, wherever they stand, and alike to those computed alone', async () => {
  const prompts = ['one', 'another', 'third', 'the last'];
  const alone: string[] = [];
  for (const prompt of prompts) alone.push(await textOf(ask(prompt, 12)));
  const pairs = [
    [2, 0],
    [1, 3],
  ] as const;
  for (const pair of pairs) {
    const before = batches.length;
    const texts = await Promise.all(pair.map((at) => textOf(ask(prompts[at] as string, 12))));
    expect(texts).toEqual(pair.map((at) => alone[at]));
    expect(batches.length - before).toBeLessThanOrEqual(16);
  }
});
