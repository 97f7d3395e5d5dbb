// The built-in strategies by name, and which one suits what.
import type { Analysis } from '../detect.ts';
import type { Strategy } from '../strategy.ts';
import { extractive } from './extractive.ts';
import { structural } from './structural.ts';
import { template } from './template.ts';

export const strategies: ReadonlyMap<string, Strategy> = new Map([extractive, structural, template].map((each) => [each.name, each]));

export function pickStrategy({ type }: Analysis, _ratio: number): string {
  if (type === 'logs') return 'template';
  if (type === 'json' || type === 'tabular') return 'structural';
  return 'extractive';
}
