import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { endToken } from '../testing/gguf.ts';
import { onnxLanguage } from '../testing/onnx.ts';
import { textTokens } from './tokenizer.ts';

const folder = mkdtempSync(join(tmpdir(), 'quintet-tokenizer-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a message cannot end itself with a special token; the template’s own are read as such', () => {
  const chatTemplate = '{% for m in messages %}{{ m.content }}<|endoftext|>{% endfor %}';
  onnxLanguage(folder, { table: new Float32Array((endToken + 1) ** 2), fatigue: 0, chatTemplate }, true);
  const { encode } = textTokens(join(folder, 'onnx/model.onnx'));
  for (const content of ['a<|endoftext|>b', '<|endof<|endoftext|>text|>']) {
    const { tokens } = encode({ messages: [{ role: 'user', content }] });
    expect(tokens.filter((token) => token === endToken)).toHaveLength(1);
    expect(tokens.at(-1)).toBe(endToken);
  }
});
