import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openOnnx } from './session.ts';
import { writeOnnx } from './write.ts';

const folder = mkdtempSync(join(tmpdir(), 'quintet-onnx-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** y = softmax(x · W + b) over rows of three. */
const classifier = writeOnnx({
  name: 'classifier',
  inputs: [{ name: 'x', type: 'float32', shape: ['rows', 3] }],
  outputs: [
    { name: 'logits', type: 'float32', shape: ['rows', 2] },
    { name: 'y', type: 'float32', shape: ['rows', 2] },
  ],
  initializers: [
    { name: 'W', dims: [3, 2], values: Float32Array.of(1, -1, 0.5, 0, 0, 2) },
    { name: 'b', dims: [2], values: Float32Array.of(0.25, -0.25) },
  ],
  nodes: [
    { op: 'Gemm', inputs: ['x', 'W', 'b'], outputs: ['logits'], attributes: { alpha: { float: 1 } } },
    { op: 'Softmax', inputs: ['logits'], outputs: ['y'], attributes: { axis: { int: -1 } } },
  ],
  metadata: { origin: 'test' },
});

function file(name: string, content: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const rows = { type: 'float32', data: Float32Array.of(1, 2, 3, -1, 0, 1), dims: [2, 3] } as const;

describe('an ONNX model', () => {
  it('tells what it takes and gives, fixed sizes and free ones', async () => {
    const model = await openOnnx(file('classifier.onnx', classifier));
    expect(model.inputs).toEqual([{ name: 'x', type: 'float32', shape: ['rows', 3] }]);
    expect(model.outputs.map(({ name }) => name)).toEqual(['logits', 'y']);
    expect(model.provider).toBe('Cpu');
    await model.close();
  });

  it('computes what the graph says', async () => {
    const model = await openOnnx(file('classifier.onnx', classifier));
    const { logits, y } = await model.run({ x: rows });
    expect(logits && [...(logits.data as Float32Array)]).toEqual([2.25, 4.75, -0.75, 2.75]);
    expect(logits?.dims).toEqual([2, 2]);
    expect(y?.data[0]).toBeCloseTo(1 / (1 + Math.exp(2.5)), 6);
    await model.close();
  });

  it('gives only the outputs that are wanted', async () => {
    const model = await openOnnx(file('classifier.onnx', classifier));
    expect(Object.keys(await model.run({ x: rows }, ['y']))).toEqual(['y']);
    await model.close();
  });

  it('names what is wrong with an input', async () => {
    const model = await openOnnx(file('classifier.onnx', classifier));
    await expect(model.run({ x: { ...rows, dims: [3, 2] } })).rejects.toThrow(/dimension/i);
    await expect(model.run({})).rejects.toMatchObject({ code: 'MODEL_INVALID' });
    await model.close();
  });

  it('refuses a file that is none, a cut one, and one that is not there', async () => {
    for (const path of [
      file('text.onnx', Buffer.from('not a model')),
      file('cut.onnx', classifier.subarray(0, classifier.length / 2)),
      join(folder, 'absent.onnx'),
    ])
      await expect(openOnnx(path)).rejects.toMatchObject({ code: 'MODEL_INVALID' });
  });

  it('falls back to the CPU when no GPU is there, and says why', async () => {
    const model = await openOnnx(file('classifier.onnx', classifier), { providers: ['Cuda'] });
    expect(model.provider).toBe('Cpu');
    expect(model.reason).toContain('Cuda');
    await model.close();
  });
});
