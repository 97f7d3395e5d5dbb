// The built-in strategies by name, and which one suits what.
import type { Analysis } from '../detect.ts';
import type { Strategy } from '../strategy.ts';
import { clustering } from './clustering.ts';
import { ensemble } from './ensemble.ts';
import { extractive } from './extractive.ts';
import { frequency } from './frequency.ts';
import { hierarchical } from './hierarchical.ts';
import { unmountedModel } from './model.ts';
import { pruning } from './pruning.ts';
import { structural } from './structural.ts';
import { template } from './template.ts';

const builtIn = [
  extractive,
  hierarchical,
  clustering,
  frequency,
  template,
  structural,
  pruning,
  ensemble,
  unmountedModel,
];

export const strategies: ReadonlyMap<string, Strategy> = new Map(builtIn.map((each) => [each.name, each]));

/** What `auto` means where nothing was learned yet: measured in bench/quality.ts. */
export function pickStrategy({ type, repetition }: Analysis, ratio: number, legend = false): string {
  if (type === 'logs') return 'template';
  if (type === 'json' || type === 'tabular') return 'structural';
  if (legend && repetition > 0.3 && ratio < 4) return 'frequency';
  return 'extractive';
}
