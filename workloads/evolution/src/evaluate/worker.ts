// A process that evaluates: started with the problem in a file, it answers one task at a time until it is killed.
import { readFileSync } from 'node:fs';
import { deserialize } from 'node:v8';
import type { Problem } from '../data/problem.ts';
import { messageOf } from '../errors.ts';
import { evaluated } from '../frozen/members.ts';
import { EvaluationContext } from './context.ts';
import type { Evaluation, EvaluationTask, Judging } from './task.ts';

export type ToProcess =
  | { readonly type: 'problem'; readonly file: string; readonly judging: Judging }
  | { readonly type: 'task'; readonly task: EvaluationTask };

export type FromProcess =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly evaluation: Evaluation }
  | { readonly type: 'failed'; readonly reason: string };

let context: EvaluationContext | undefined;
/** Why there is no problem to evaluate on. */
let trouble = 'no problem yet';

process.on('message', (message: ToProcess) => {
  void answer(message).then((said) => process.send!(said));
});
// Nothing runs after the end: without the channel there is nobody to answer.
process.on('disconnect', () => process.exit(0));

async function answer(message: ToProcess): Promise<FromProcess> {
  try {
    if (message.type === 'problem') {
      context = new EvaluationContext(deserialize(readFileSync(message.file)) as Problem, message.judging);
      return { type: 'ready' };
    }
    if (!context) throw new Error(trouble);
    return { type: 'done', evaluation: await evaluated(context, message.task) };
  } catch (error) {
    if (message.type === 'problem') trouble = messageOf(error);
    return { type: 'failed', reason: messageOf(error) };
  }
}
