// What runs in a worker thread: one compression, or the plan of a conversation, with what was learned so far.
import { type Compressed, type CompressOptions, compress } from '../compress.ts';
import { type ConversationOptions, type ConversationPlan, planConversation } from '../conversation.ts';
import { CompressionError } from '../errors.ts';
import { Feedback, type FeedbackState, preferring } from '../feedback.ts';
import { askForScores, modelStrategy, ScoresNeeded } from '../strategies/model.ts';
import { tokenizer } from '../tokens.ts';
import { loadPlugin, type PluginFile } from './plugins.ts';

export interface Task {
  readonly options?: CompressOptions;
  readonly conversation?: ConversationOptions;
  /** Overrules what `auto` picks, by content type. */
  readonly fixed?: Readonly<Record<string, string>>;
  readonly learned?: FeedbackState;
  readonly plugins?: readonly PluginFile[];
  /** Whether a classifier is mounted; its scores of the text's words come with the second attempt. */
  readonly classifier?: boolean;
  readonly scores?: Float32Array;
  readonly threshold?: number;
  readonly maxTokens: number;
  /** Shared: 1 as soon as nobody waits for the result. */
  readonly flag?: Int32Array;
}

export type Outcome =
  | { text: Compressed }
  | { plan: ConversationPlan }
  | { unscored: { start: Uint32Array; end: Uint32Array } }
  | { refused: { code: string; field: string; message: string } };

// A thread takes its first task when this module is loaded: by then its tokenizer is, merges and all.
tokenizer('o200k_base').count('Unmergeableness. ĳ');

export default async function work(task: Task): Promise<Outcome> {
  try {
    if (task.conversation) {
      checkLength(
        task.conversation.messages.map(({ content }) => content),
        task,
        'messages',
      );
      return { plan: planConversation(task.conversation) };
    }
    const options = task.options as CompressOptions;
    checkLength([options.text], task, 'text');
    const feedback = task.learned && new Feedback(task.learned);
    const names = (task.plugins ?? []).map(({ name }) => name);
    const prefer = preferring(feedback, task.fixed ?? {}, names, options.legend);
    const plugins = await Promise.all((task.plugins ?? []).map(loadPlugin));
    const { flag } = task;
    const cancelled = (): boolean => flag !== undefined && Atomics.load(flag, 0) !== 0;
    const { scores, threshold = 0 } = task;
    if (scores) plugins.push(modelStrategy({ name: 'model', threshold, score: () => scores }));
    else if (task.classifier) plugins.push(askForScores);
    return { text: compress({ ...options, prefer, plugins, cancelled }) };
  } catch (error) {
    if (error instanceof ScoresNeeded) return { unscored: { start: error.words.start, end: error.words.end } };
    if (!(error instanceof CompressionError)) throw error;
    return { refused: { code: error.code, field: error.field, message: error.message } };
  }
}

function checkLength(texts: readonly string[], { maxTokens, options, conversation }: Task, field: string): void {
  // A token has at least one byte; only texts that could be too long are counted.
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (bytes <= maxTokens) return;
  const counter = tokenizer(options?.tokenizer ?? conversation?.tokenizer ?? 'o200k_base');
  const tokens = texts.reduce((sum, text) => sum + counter.count(text), 0);
  if (tokens > maxTokens)
    throw new CompressionError('TooLong', field, `${field} has ${tokens} tokens; ${maxTokens} are allowed`);
}
