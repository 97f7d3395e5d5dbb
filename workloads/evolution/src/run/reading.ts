// The time that reading may take: it counts in the budget, and of what is not read by its end nothing can be bred.
import type { EvolutionRunSpec } from '@quintet/crds';
import { EvolutionError } from '../errors.ts';
import { after } from '../timer.ts';
import { budgetOf } from './settings.ts';

/**
 * @param work Ends, by throwing its reason, when its signal aborts
 * @throws EvolutionError InvalidResource where the work has not ended with the budget
 */
export async function withinBudget<T>(
  spec: EvolutionRunSpec,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const message = `the table could not be read within ${spec.budget.time}`;
  const fix = 'give more, use fewer rows, or a faster source';
  const over = () => late.abort(new EvolutionError('InvalidResource', message, { field: 'spec.budget.time', fix }));
  const stop = after(1000 * budgetOf(spec), over);
  try {
    return await work(signal ? AbortSignal.any([signal, late.signal]) : late.signal);
  } finally {
    stop();
  }
}
