// That tokens are chosen as they should be: the model's probabilities are known exactly, so its choices can be held against them.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getLlama, type Token } from 'node-llama-cpp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bigramModel, endToken, randomModel } from '../testing/gguf.ts';
import { openLlama } from './llama.ts';
import type { Ended, TextModel, TextRequest } from './model.ts';

const corpus = [
  'the cat sat on the mat and the rat ran at the cat',
  'a hat that the man had sat on is flat',
  'then ten men met at the tent and ate that meat',
].join('\0');
const size = 257;
let folder: string;
let table: Float64Array;
let model: TextModel;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quintet-sampling-'));
  const path = join(folder, 'bigram.gguf');
  table = bigramModel(path, corpus);
  model = await openLlama({
    path,
    revision: '1',
    id: 'bigram',
    contextTokens: 256,
    sequences: 8,
    gpu: false,
    threads: 1,
  });
}, 60_000);
afterAll(async () => {
  await model.close();
  rmSync(folder, { recursive: true, force: true });
});

async function textOf(
  prompt: string,
  more: Partial<TextRequest>,
  from = model,
): Promise<{ text: string; ended: Ended }> {
  const plain = {
    tenant: 'a',
    overflow: 'Refuse',
    maxTokens: 1,
    temperature: 1,
    topP: 1,
    topK: 0,
    repetitionPenalty: 1,
    stop: [],
  } as const;
  const pieces = from.generate({ ...plain, prompt: { text: prompt }, ...more }, AbortSignal.timeout(20_000));
  let text = '';
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return { text, ended: value };
    text += value;
  }
}

interface Rules {
  temperature: number;
  topK: number;
  topP: number;
  penalty: number;
  /** Bytes that the penalty has seen. */
  seen: Set<number>;
}

/** Probabilities of the next byte, by llama.cpp's order: penalty, top-k, top-p, temperature. */
function expected(previous: number, { temperature, topK, topP, penalty, seen }: Rules): Map<number, number> {
  let candidates = Array.from({ length: size }, (_, id) => {
    const logit = Math.log(table[previous * size + id] as number);
    return { id, logit: seen.has(id) ? (logit > 0 ? logit / penalty : logit * penalty) : logit };
  }).toSorted((a, b) => b.logit - a.logit);
  if (topK > 0) candidates = candidates.slice(0, topK);
  const total = candidates.reduce((sum, { logit }) => sum + Math.exp(logit), 0);
  let mass = 0;
  candidates = candidates.filter(({ logit }) => {
    const within = mass < topP;
    mass += Math.exp(logit) / total;
    return within;
  });
  const weights = candidates.map(({ logit }) => Math.exp(logit / temperature));
  const sum = weights.reduce((all, weight) => all + weight, 0);
  return new Map(candidates.map(({ id }, index) => [id, (weights[index] as number) / sum]));
}

/** Chi-square statistic over those with an expectation of at least five, and its degrees of freedom. */
function chiSquare(counts: Map<number, number>, probabilities: Map<number, number>, draws: number) {
  const common = [...probabilities].filter(([, probability]) => probability * draws >= 5);
  const statistic = common.reduce((sum, [id, probability]) => {
    const wanted = probability * draws;
    return sum + ((counts.get(id) ?? 0) - wanted) ** 2 / wanted;
  }, 0);
  return { statistic, freedom: Math.max(1, common.length - 1) };
}

/** The value that chi-square exceeds with probability 0.001 (E. B. Wilson and M. M. Hilferty, 1931). */
const limitOf = (freedom: number) => freedom * (1 - 2 / (9 * freedom) + 3.09 * Math.sqrt(2 / (9 * freedom))) ** 3;

test.each([
  ['as the model says', { temperature: 1, topK: 0, topP: 1, penalty: 1 }],
  ['temperature', { temperature: 0.6, topK: 0, topP: 1, penalty: 1 }],
  ['top-k', { temperature: 1, topK: 3, topP: 1, penalty: 1 }],
  ['top-p', { temperature: 1, topK: 0, topP: 0.7, penalty: 1 }],
  ['repetition penalty', { temperature: 1, topK: 0, topP: 1, penalty: 1.5 }],
  ['all together', { temperature: 0.7, topK: 6, topP: 0.9, penalty: 1.2 }],
])('draws follow the distribution: %s', { timeout: 60_000 }, async (_, rules) => {
  const draws = 1200;
  const prompt = 'that hat';
  const counts = new Map<number, number>();
  // Eight at a time, as the engine does; each draw has a seed of its own.
  for (let seed = 0; seed < draws; seed += 8) {
    const texts = await Promise.all(
      Array.from({ length: 8 }, (__, index) =>
        textOf(prompt, { ...rules, repetitionPenalty: rules.penalty, seed: seed + index }),
      ),
    );
    for (const { text } of texts) {
      const id = text === '' ? endToken : (Buffer.from(text)[0] as number);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
  }
  const probabilities = expected(0x74, { ...rules, seen: new Set(Buffer.from(prompt)) });
  for (const id of counts.keys()) expect([...probabilities.keys()]).toContain(id);
  const { statistic, freedom } = chiSquare(counts, probabilities, draws);
  expect(statistic).toBeLessThan(limitOf(freedom));
});

test('greedy takes the likeliest byte each time', async () => {
  const { text } = await textOf('th', { temperature: 0, maxTokens: 24 });
  let previous = 'h'.charCodeAt(0);
  let likely = '';
  while (likely.length < 24) {
    const row = table.subarray(previous * size, (previous + 1) * size);
    previous = row.indexOf(Math.max(...row));
    if (previous === endToken) break;
    likely += String.fromCharCode(previous);
  }
  expect(text).toBe(likely);
});

test('greedy takes the tokens that llama.cpp by itself does, of a prompt read in parts beside others, too', {
  timeout: 60_000,
}, async () => {
  const file = join(folder, 'random.gguf');
  randomModel(file, { layers: 2, width: 64, heads: 4, context: 512 });
  const shape = { id: 'random', contextTokens: 512, sequences: 8, gpu: false, threads: 1 };
  const ours = await openLlama({ path: file, revision: '1', ...shape });
  const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, progressLogs: false, maxThreads: 1 });
  const own = await llama.loadModel({ modelPath: file });
  const sequence = (await own.createContext({ contextSize: 512, threads: 1 })).getSequence();
  try {
    const prompts = Array.from({ length: 8 }, (_, i) => `${i} is written `.padEnd(30 + 30 * i, 'and read '));
    const texts = await Promise.all(
      prompts.map((prompt) => textOf(prompt, { temperature: 0, maxTokens: 24 }, ours).then(({ text }) => text)),
    );
    let compared = 0;
    for (const [i, prompt] of prompts.entries()) {
      await sequence.clearHistory();
      const tokens: Token[] = [];
      let lead = Number.POSITIVE_INFINITY;
      const made = sequence.evaluateWithMetadata(own.tokenize(prompt), { probabilities: true }, { temperature: 0 });
      for await (const { token, probabilities } of made) {
        const [first = 0, second = 0] = [...probabilities.values()].toSorted((a, b) => b - a);
        lead = Math.min(lead, Math.log(first / second));
        tokens.push(token);
        if (tokens.length === 24) break;
      }
      // Two tokens as likely but for rounding, which depends on what else is in a batch, are a matter of chance.
      if (lead < 0.005) continue;
      compared++;
      expect(texts[i]).toBe(own.detokenize(tokens));
    }
    expect(compared).toBeGreaterThan(2);
  } finally {
    await ours.close();
    await own.dispose();
  }
});

test('a tenant never meets the state that another left', async () => {
  const prompt = 'the cat sat on the mat ';
  expect((await textOf(prompt, { tenant: 'x' })).ended.reusedTokens).toBe(0);
  expect((await textOf(prompt, { tenant: 'x' })).ended.reusedTokens).toBe(prompt.length - 1);
  expect((await textOf(prompt, { tenant: 'y' })).ended.reusedTokens).toBe(0);
});

test('a GPU that is required and not there is told, not replaced', async () => {
  const options = {
    path: join(folder, 'bigram.gguf'),
    revision: '1',
    id: 'm',
    contextTokens: 256,
    sequences: 1,
    threads: 1,
  };
  await expect(openLlama({ ...options, gpu: true, gpuRequired: true })).rejects.toMatchObject({ code: 'GPU_REQUIRED' });
});
