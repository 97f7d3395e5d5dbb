// LoRA adapters over real HTTP with real llama.cpp: each brand's changes the model in a way that shows in every letter.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from '@quintet/runtime';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { bigramModel, letterAdapter } from '../testing/gguf.ts';
import { clientOf, onClaim, post, workplace } from './fixtures/workplace.ts';

const place = workplace();
const inClaims = (name: string) => join(place.folder, 'claims/models', name);
const adapter = (name: string, file = `${name}.gguf`, more: object = {}) => ({
  name,
  source: onClaim(file).source,
  ...more,
});
const specOf = (...adapters: object[]) => ({
  model: onClaim('bigram.gguf'),
  generation: { maxLength: 8, temperature: '0', repetitionPenalty: '1' },
  batching: { maxSize: 4 },
  adapters,
});
let engine: Engine;
beforeAll(async () => {
  bigramModel(inClaims('bigram.gguf'), 'the cat sat on the mat. the hat is on the cat.\0'.repeat(4));
  letterAdapter(inClaims('zebra.gguf'), 'z');
  letterAdapter(inClaims('yak.gguf'), 'y');
  const whole = readFileSync(inClaims('zebra.gguf'));
  writeFileSync(inClaims('cut.gguf'), whole.subarray(0, whole.length / 2));
  writeFileSync(inClaims('garbage.gguf'), 'GGUF and nothing else');
  const broken = [adapter('cut'), adapter('garbage'), adapter('gone'), adapter('model', 'bigram.gguf')];
  engine = await place.engineWith(specOf(adapter('zebra'), ...broken));
  await engine.started;
  const serves = async () => {
    if (!(await listed()).includes('bigram:zebra')) throw new Error('the adapter does not serve yet');
  };
  await vi.waitFor(serves, { timeout: 15_000 });
});
afterAll(place.end);

const listed = async () => (await clientOf(engine).models.list()).data.map(({ id }) => id);
const write = (model: string, more: object = {}) =>
  post(engine, '/v1/completions', { model, prompt: 'the ', seed: 1, max_tokens: 4, ...more });
const textOf = async (model: string) => (await write(model)).body['choices'][0].text as string;

test('the request’s model names the brand, and each writes its own way at the same time', async () => {
  const [own, base, again] = await Promise.all([textOf('bigram:zebra'), textOf('bigram'), textOf('bigram:zebra')]);
  expect([own, again]).toEqual(['zzzz', 'zzzz']);
  expect(base).toBe('the ');
  const { data } = await clientOf(engine).models.list();
  expect(data.find(({ id }) => id === 'bigram:zebra')).toMatchObject({ parent: 'bigram' });
});

test('answers of one brand never come from the cache of another', async () => {
  const sources = [];
  for (const model of ['bigram', 'bigram:zebra', 'bigram', 'bigram:zebra']) {
    const answer = await write(model, { seed: 9 });
    sources.push([answer.headers.get('x-quintet-source'), answer.body['choices'][0].text.startsWith('zz')]);
  }
  expect(sources).toEqual([
    ['miss', false],
    ['miss', true],
    ['memory', false],
    ['memory', true],
  ]);
});

test('a brief names its brand', async () => {
  const { body } = await post(engine, '/v1/copy', { brief: { product: 'hat' }, adapter: 'zebra', n: 1 });
  expect(body).toMatchObject({ model: 'bigram:zebra', variants: [{ text: expect.stringMatching(/^z+$/) }] });
  const unknown = await post(engine, '/v1/copy', { brief: { product: 'hat' }, adapter: 'none', n: 1 });
  expect(unknown).toMatchObject({ status: 404, body: { error: { param: 'adapter' } } });
});

test.each([
  ['cut', /cut off|cannot load it/],
  ['garbage', /damaged/],
  ['gone', /ENOENT/],
  ['model', /cannot load it/],
])('an adapter that is %s is refused with the reason, and harms nobody', async (name, reason) => {
  await expect
    .poll(() => write(`bigram:${name}`))
    .toMatchObject({
      status: 503,
      body: { error: { code: 'NOT_READY', param: 'model', message: expect.stringMatching(reason) } },
    });
  expect(await textOf('bigram:zebra')).toBe('zzzz');
  expect((await write('bigram:nobody')).body).toMatchObject({ error: { code: 'NOT_FOUND', param: 'model' } });
});

test('adapters come, change and go without a restart', async () => {
  place.rewrite(engine, specOf(adapter('yak'), adapter('zebra', 'yak.gguf')));
  await expect.poll(listed, { timeout: 15_000 }).toEqual(['bigram', 'bigram:yak', 'bigram:zebra']);
  expect([await textOf('bigram:yak'), await textOf('bigram:zebra')]).toEqual(['yyyy', 'yyyy']);
  place.rewrite(engine, specOf(adapter('yak', 'yak.gguf', { scale: '0.0001' })));
  await expect.poll(() => textOf('bigram:yak'), { timeout: 15_000 }).toBe('the ');
  expect((await write('bigram:zebra')).status).toBe(404);
}, 40_000);

test('an adapter whose file was replaced is read again', async () => {
  const path = inClaims('brand.gguf');
  const serves = (adapters: object[], letters: string) => {
    place.rewrite(engine, specOf(...adapters));
    return expect.poll(() => textOf('bigram:brand').catch(() => ''), { timeout: 15_000 }).toBe(letters);
  };
  letterAdapter(path, 'z');
  await serves([adapter('brand')], 'zzzz');
  rmSync(path);
  letterAdapter(path, 'y');
  await serves([adapter('brand', 'brand.gguf', { scale: '1.5' })], 'yyyy');
}, 40_000);
