// Models over texts: token classifiers and sentence embeddings with their tokenizers. Needs the packages onnxruntime-node and @huggingface/tokenizers, which
// engines with models bring.
export {
  type Classifier,
  type Embedding,
  type ModelFiles,
  type ModelOptions,
  openClassifier,
  openEmbedding,
  similarity,
  type WordOffsets,
} from './model.ts';
export { modelTokens, type TokenizerFiles, tokenizerFilesIn } from './tokens.ts';
