// Language models as ONNX, made here: their texts are known from the table that they hold.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeOnnx } from '@quintet/runtime/onnx';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { endToken } from '../testing/gguf.ts';
import { type OnnxLanguage, onnxLanguage } from '../testing/onnx.ts';
import type { Chances, Ended, TextModel, TextRequest } from './model.ts';
import { openOnnxText } from './onnx.ts';

const size = endToken + 1;
const corpus = 'the cat sat on the mat. the hat is on the cat. a man ran to the tent.';
let folder: string;
const open: TextModel[] = [];
let language: OnnxLanguage;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quintet-onnx-text-'));
  const table = new Float32Array(size * size).fill(-8);
  const bytes = [...Buffer.from(corpus.repeat(3)), endToken];
  bytes.slice(1).forEach((next, at) => {
    const place = (bytes[at] as number) * size + next;
    table[place] = Math.max(0, table[place] as number) + 1;
  });
  language = { table, fatigue: 0.25 };
  onnxLanguage(join(folder, 'state'), language, true);
  onnxLanguage(join(folder, 'stateless'), language, false);
});
afterAll(async () => {
  await Promise.all(open.map((model) => model.close()));
  rmSync(folder, { recursive: true, force: true });
});

async function modelIn(name: string, more: { chatTemplate?: string; contextTokens?: number } = {}): Promise<TextModel> {
  const path = join(folder, name, 'onnx/model.onnx');
  const options = { path, revision: '1', id: name, contextTokens: 400, sequences: 4, threads: 1, ...more };
  const model = await openOnnxText(options);
  open.push(model);
  return model;
}

const plain = { tenant: 'a', overflow: 'Refuse', maxTokens: 24, temperature: 0, topP: 1, topK: 0 } as const;
async function textOf(
  model: TextModel,
  more: Partial<TextRequest> & Pick<TextRequest, 'prompt'>,
  signal?: AbortSignal,
) {
  const request = { ...plain, repetitionPenalty: 1, stop: [], ...more };
  const pieces = model.generate(request, signal ?? AbortSignal.timeout(20_000));
  let text = '';
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return { text, ended: value satisfies Ended };
    text += value;
  }
}

/** What a graph that has read everything says, by the table alone. */
function expected(prompt: string, length: number): string {
  const text = [...Buffer.from(prompt)];
  for (let made = 0; made < length; made++) {
    const logits = Array.from(
      language.table.subarray((text.at(-1) as number) * size, ((text.at(-1) as number) + 1) * size),
    );
    for (const id of text) logits[id] = (logits[id] as number) - language.fatigue;
    const next = logits.indexOf(Math.max(...logits));
    if (next === endToken) break;
    text.push(next);
  }
  return Buffer.from(text).toString().slice(prompt.length);
}

test.each(['state', 'stateless'])(
  'a graph writes what its logits say, a long prompt read in parts: %s',
  async (name) => {
    const model = await modelIn(name);
    for (const text of ['the c', `${corpus} `.repeat(4)]) {
      const { text: answer, ended } = await textOf(model, { prompt: { text } });
      expect(answer).toBe(expected(text, 24));
      expect(ended).toMatchObject({ promptTokens: text.length, completionTokens: answer.length });
    }
  },
);

test('answers at once are the same as one by one', async () => {
  const model = await modelIn('state');
  const prompts = ['the ', 'a man', 'on ', 'tent '];
  const ask = (text: string, seed: number) => textOf(model, { prompt: { text }, seed, temperature: 0.8, topK: 5 });
  const apart: string[] = [];
  for (const [seed, text] of prompts.entries()) apart.push((await ask(text, seed)).text);
  const together = await Promise.all(prompts.map((text, seed) => ask(text, seed)));
  expect(together.map(({ text }) => text)).toEqual(apart);
});

test('each token comes with its chance and the likeliest beside it', async () => {
  const model = await modelIn('state');
  const chances: Chances = { top: 3, tokens: [] };
  const { text } = await textOf(model, { prompt: { text: 'the c' }, chances, maxTokens: 6 });
  expect(chances.tokens.map(({ token }) => token).join('')).toBe(text);
  expect(chances.tokens.map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4, 5]);
  for (const { token, logprob, top } of chances.tokens) {
    expect(top).toHaveLength(3);
    expect(top[0]).toEqual({ token, logprob });
  }
});

test('an answer ends at a stop text, at its length, and when the client goes away', async () => {
  const model = await modelIn('state');
  const prompt = { text: 'the c' };
  const whole = await textOf(model, { prompt });
  const stopped = await textOf(model, { prompt, stop: [whole.text.slice(4, 7)] });
  expect(stopped).toMatchObject({ text: whole.text.slice(0, 4), ended: { finish: 'stop' } });
  expect(await textOf(model, { prompt, maxTokens: 5 })).toMatchObject({
    ended: { finish: 'length', completionTokens: 5 },
  });
  const gone = new AbortController();
  gone.abort(new Error('gone'));
  await expect(textOf(model, { prompt }, gone.signal)).rejects.toThrow('gone');
});

test('a prompt beyond the context is refused by name, or cut', async () => {
  const model = await modelIn('state', { contextTokens: 64 });
  const prompt = { text: 'the cat '.repeat(20) };
  await expect(textOf(model, { prompt })).rejects.toMatchObject({
    code: 'INVALID_REQUEST',
    details: { field: 'prompt' },
  });
  const cut = await textOf(model, { prompt, overflow: 'Truncate' });
  expect(cut.ended.promptTokens).toBe(64 - 24);
});

test('conversations are put together by the chat template: the own one, the resource’s, or a plain one', async () => {
  onnxLanguage(
    join(folder, 'chat'),
    { ...language, chatTemplate: '{% for m in messages %}[{{ m.content }}]{% endfor %}' },
    true,
  );
  const messages = [{ role: 'user' as const, content: 'the cat' }];
  const count = async (name: string, chatTemplate?: string) =>
    (await modelIn(name, chatTemplate === undefined ? {} : { chatTemplate })).countTokens({ messages });
  expect(await count('chat')).toBe('[the cat]'.length);
  expect(await count('chat', '{{ messages[0].content }}')).toBe('the cat'.length);
  expect(await count('state')).toBe('### Human\nthe cat\n\n### Assistant\n'.length);
  await expect(count('chat', '{% for')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  const strict = await modelIn('chat', { chatTemplate: "{{ raise_exception('only one turn') }}" });
  expect(() => strict.countTokens({ messages })).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }));
});

test('what is no language model, or damaged, is refused with what is wrong', async () => {
  const whole = readFileSync(join(folder, 'state/onnx/model.onnx'));
  const refused = async (change: (at: string) => void) => {
    const at = mkdtempSync(join(folder, 'bad-'));
    cpSync(join(folder, 'state'), at, { recursive: true });
    change(at);
    const options = {
      path: join(at, 'onnx/model.onnx'),
      revision: '1',
      id: 'm',
      contextTokens: 64,
      sequences: 1,
      threads: 1,
    };
    return openOnnxText(options).then(
      () => 'opened',
      (error: Error) => error.message,
    );
  };
  const graph = (at: string, bytes: Uint8Array) => writeFileSync(join(at, 'onnx/model.onnx'), bytes);
  expect(await refused((at) => graph(at, whole.subarray(0, whole.length / 2)))).toMatch(/cannot be used/);
  expect(await refused((at) => graph(at, Buffer.from('no graph')))).toMatch(/cannot be used/);
  expect(await refused((at) => rmSync(join(at, 'tokenizer.json')))).toMatch(/tokenizer\.json/);
  expect(await refused((at) => writeFileSync(join(at, 'tokenizer.json'), '{}'))).toMatch(/is no tokenizer/);
  expect(await refused((at) => writeFileSync(join(at, 'config.json'), '{'))).toMatch(/config\.json cannot be used/);
  const other = writeOnnx({
    name: 'other',
    nodes: [{ op: 'Identity', inputs: ['pixels'], outputs: ['logits'] }],
    inputs: [{ name: 'pixels', type: 'float32', shape: [1] }],
    outputs: [{ name: 'logits', type: 'float32', shape: [1] }],
  });
  expect(await refused((at) => graph(at, other))).toMatch(/asks for pixels/);
});

test.each(['model.onnx_data', 'model.onnx.data', 'weights.bin'])(
  'weights beside the graph are part of its revision: %s',
  async (file) => {
    const name = `beside-${file}`;
    cpSync(join(folder, 'state'), join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, 'onnx', file), 'old');
    const { revision } = await modelIn(name);
    writeFileSync(join(folder, name, 'onnx', file), 'newer');
    expect((await modelIn(name)).revision).not.toBe(revision);
  },
);
