// ONNX models: read and run, and written. Needs the package onnxruntime-node, which engines with models bring.
export {
  type OnnxModel,
  type OnnxOptions,
  type OnnxProvider,
  openOnnx,
  type Tensor,
  type TensorInfo,
  type TensorType,
} from './session.ts';
export {
  type AttributeValue,
  type Graph,
  type GraphNode,
  type GraphValue,
  type Initializer,
  writeOnnx,
} from './write.ts';
