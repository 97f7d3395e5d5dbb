// A small ONNX model for tests: the mean colours of 4 × 4 fields of an image, 48 numbers.
import { writeOnnx } from '@quintet/runtime/onnx';

export const edge = 32;

/** @param batch Size of a batch; left out, any. */
export function colourModel({ batch = 'batch', name = 'vector' }: { batch?: number | string; name?: string } = {}) {
  const field = { ints: [edge / 4, edge / 4] };
  return writeOnnx({
    name: 'colours',
    inputs: [{ name: 'pixels', type: 'float32', shape: [batch, 3, edge, edge] }],
    outputs: [{ name, type: 'float32', shape: [batch, 48] }],
    nodes: [
      {
        op: 'AveragePool',
        inputs: ['pixels'],
        outputs: ['fields'],
        attributes: { kernel_shape: field, strides: field },
      },
      { op: 'Flatten', inputs: ['fields'], outputs: [name], attributes: { axis: { int: 1 } } },
    ],
  });
}
