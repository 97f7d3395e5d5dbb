import type { OnnxModel } from '@quintet/runtime/onnx';
import { expect, test } from 'vitest';
import { languageGraph } from './onnxGraph.ts';

test('of a prompt’s logits only those of what follows its last token are kept', async () => {
  const data = Float32Array.from({ length: 300 }, (_, at) => at);
  const model = {
    inputs: [{ name: 'input_ids', type: 'int64', shape: [1, 'length'] }],
    outputs: [{ name: 'logits', type: 'float32', shape: [1, 'length', 3] }],
    run: async () => ({ logits: { type: 'float32', data, dims: [1, 100, 3] } }),
  };
  const graph = languageGraph(model as unknown as OnnxModel, {});
  const { logits } = await graph.run([1], graph.empty);
  expect([...logits]).toEqual([297, 298, 299]);
  expect(logits.buffer.byteLength).toBe(12);
});
