// Ensemble: several strategies choose, and what more of them keep is worth more.
import { choose } from '../selection.ts';
import type { Strategy } from '../strategy.ts';
import { coverage } from './extractive.ts';

export const ensemble: Strategy = {
  name: 'ensemble',
  compress({ document, budget, query, forced, run }) {
    const { units, type } = document;
    const like = type === 'json' || type === 'tabular' || type === 'code' || type === 'logs';
    const voters = like
      ? ['extractive', 'clustering', 'structural', 'template']
      : ['extractive', 'hierarchical', 'clustering'];
    const votes = new Float64Array(units.length);
    for (const voter of voters) {
      let unit = 0;
      for (const span of run(voter).spans) {
        for (; unit < units.length && (units[unit] as { start: number }).start < span.end; unit++) {
          if (span.kept) votes[unit] = (votes[unit] as number) + 1 / voters.length;
        }
      }
    }
    return choose(document, budget, coverage(document, query, votes), forced);
  },
};
