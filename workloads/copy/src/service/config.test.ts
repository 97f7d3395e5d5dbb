import { copyEngine } from '@quintet/crds';
import { expect, test } from 'vitest';
import { config } from './config.ts';

test('what a resource leaves out means the same to the engine as to the API server', () => {
  const model = { source: { persistentVolumeClaim: { claimName: 'models', path: 'copy.gguf' } } };
  const openai = { endpoints: [{ name: 'a', url: 'https://llm.example.com/v1' }] };
  const budgets = { keys: [{ name: 'web', costPerDay: '10' }] };
  for (const spec of [
    { model, budgets },
    { runtime: 'OpenAI', openai },
  ]) {
    const defaulted = config.parse(copyEngine.spec.parse(spec));
    const own = config.parse(spec);
    expect(defaulted).toMatchObject(own);
    expect(own.openai).toEqual(defaulted.openai);
    expect(own.generation).toEqual(defaulted.generation);
    expect(own.guardrails).toEqual(defaulted.guardrails);
  }
});
