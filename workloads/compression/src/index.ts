// Context compression for language models, as a library: whole parts of a text within a token budget, nothing made up.
export { type Compressed, type CompressOptions, compress, type Rate } from './compress.ts';
export { type Analysis, analyse, type ContentType, contentTypes } from './detect.ts';
export type { Document } from './document.ts';
export { CompressionError } from './errors.ts';
export type { Fidelity } from './fidelity.ts';
export { type Span, textOfSpans } from './render.ts';
export { type Budget, choose, type Preference } from './selection.ts';
export { expand, type LegendEntry } from './strategies/frequency.ts';
export { strategies } from './strategies/index.ts';
export { modelStrategy, type WordClassifier } from './strategies/model.ts';
export type { Strategy, StrategyInput, StrategyOutput } from './strategy.ts';
export { type Tokenizer, type TokenizerName, tokenizer, tokenizerNames } from './tokens.ts';
