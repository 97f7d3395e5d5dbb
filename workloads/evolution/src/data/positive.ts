// Which of two classes is the positive one where nobody has said it.
import { startOf } from '../text.ts';
import type { Note } from './columns.ts';

/** Both in lower case; numbers are compared as such. */
const affirmatives: readonly (readonly [negative: string, positive: string])[] = [
  ['0', '1'],
  ['-1', '1'],
  ['false', 'true'],
  ['no', 'yes'],
  ['n', 'y'],
  ['negative', 'positive'],
];

/** The one that says yes, however frequent: what scores mean must not turn around with the shares of next month's table. */
export function affirmativeOf(classes: readonly string[]): string | undefined {
  const is = (name: string, text: string) => name.toLowerCase() === text || Number(name) === Number(text);
  for (const [negative, positive] of affirmatives) {
    const chosen = classes.find((name) => is(name, positive));
    if (chosen !== undefined && classes.some((name) => is(name, negative))) return chosen;
  }
  return undefined;
}

/** @param classes In their order; of equally frequent ones the later is taken */
export function rarerOf(
  [first = '', second = '']: readonly string[],
  count: (name: string) => number,
  column: string,
  notes: Note[],
): string {
  const chosen = count(first) < count(second) ? first : second;
  const why = count(first) === count(second) ? 'the later of two equally frequent ones' : 'the rarer one';
  const text = `the positive class is “${startOf(chosen, 80)}”, ${why}; spec.dataset.positiveClass sets another`;
  notes.push({ column, text });
  return chosen;
}
