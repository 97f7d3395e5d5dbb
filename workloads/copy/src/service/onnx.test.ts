// Runtime Onnx over real HTTP: a folder on a claim, as transformers.js reads it, called by OpenAI's own client.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { endToken } from '../testing/gguf.ts';
import { onnxLanguage } from '../testing/onnx.ts';
import { clientOf, onClaim, post, workplace } from './fixtures/workplace.ts';

const place = workplace();
afterAll(place.end);

/** Writes the alphabet, round and round. */
function alphabet(folder: string): void {
  const size = endToken + 1;
  const table = new Float32Array(size * size);
  for (let id = 0; id < size; id++) table[id * size + (id >= 97 && id < 122 ? id + 1 : 97)] = 20;
  onnxLanguage(folder, { table, fatigue: 0 }, true);
}

test('a folder on a claim is served by its name, whole, streamed and to briefs', async () => {
  alphabet(join(place.folder, 'claims/models/letters'));
  const engine = await place.engineWith({ runtime: 'Onnx', model: onClaim('letters'), generation: { maxLength: 8 } });
  await engine.started;
  const openai = clientOf(engine);
  expect((await openai.models.list()).data.map(({ id }) => id)).toEqual(['letters']);
  const body = { model: 'letters', prompt: 'xyz abc', max_tokens: 6, logprobs: 1 };
  const whole = await openai.completions.create(body);
  expect(whole.choices[0]).toMatchObject({ text: 'defghi', finish_reason: 'length' });
  expect(whole.choices[0]?.logprobs?.tokens).toEqual('defghi'.split(''));
  expect(whole.usage).toMatchObject({ prompt_tokens: 7, completion_tokens: 6 });
  const stream = await openai.completions.create(
    { ...body, stream: true },
    { headers: { 'cache-control': 'no-store' } },
  );
  let text = '';
  for await (const { choices } of stream) text += choices[0]?.text ?? '';
  expect(text).toBe('defghi');
  const { body: copy } = await post(engine, '/v1/copy', { brief: { product: 'ink' }, n: 1 });
  expect(copy).toMatchObject({ writtenBy: 'Model', model: 'letters', variants: [{ text: 'abcdefgh' }] });
});

test('a folder without a graph, without its tokenizer, or in a bucket keeps the engine not ready with the reason', async () => {
  const models = join(place.folder, 'claims/models');
  onnxLanguage(join(models, 'bare'), { table: new Float32Array((endToken + 1) ** 2), fatigue: 0 }, true);
  rmSync(join(models, 'bare/tokenizer.json'));
  alphabet(join(models, 'cut'));
  writeFileSync(join(models, 'cut/onnx/model.onnx'), 'no graph');
  const reasonOf = async (model: object) => {
    const engine = await place.engineWith({ runtime: 'Onnx', model });
    const ready = () => fetch(`${engine.url}/readyz`).then((response) => response.text());
    await expect.poll(ready).toMatch(/onnx|tokenizer|claim/i);
    return ready();
  };
  expect(await reasonOf(onClaim('bare'))).toMatch(/tokenizer\.json/);
  expect(await reasonOf(onClaim('cut'))).toMatch(/cannot be used/);
  expect(await reasonOf(onClaim('.'))).toMatch(/there is none of model\.onnx/);
  expect(await reasonOf({ source: { s3: { bucket: 'b', key: 'model.onnx' } }, contextTokens: 512 })).toMatch(
    /bring it on a claim/,
  );
});
