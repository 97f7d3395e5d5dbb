// What a strategy is. A plugin is an object of this shape given to `compress` or `registerStrategy`; the core knows no
// strategy by name except through this interface.
import type { Document } from './document.ts';
import type { Rendered } from './render.ts';
import type { Budget } from './selection.ts';

export interface StrategyInput {
  readonly document: Document;
  readonly budget: Budget;
  /** What the reader wants to know; empty when unknown. */
  readonly query: string;
  /** Units that must be kept whatever they cost. */
  readonly forced: readonly number[];
  /** Runs another strategy on the same document: how an ensemble is built. */
  readonly run: (name: string) => StrategyOutput;
}

export interface StrategyOutput extends Rendered {
  /** Phrases written once and named by a symbol where they stood. */
  readonly legend?: readonly { readonly symbol: string; readonly phrase: string }[];
}

export interface Strategy {
  readonly name: string;
  /** Keeps parts of the document within the budget, as near to it as its units allow. Must be deterministic. */
  compress(input: StrategyInput): StrategyOutput;
}
