// What runs in a worker thread: one compression, with what was learned so far.
import { type Compressed, type CompressOptions, compress } from '../compress.ts';
import { type CompressedConversation, type ConversationOptions, compressConversation } from '../conversation.ts';
import { CompressionError } from '../errors.ts';
import { Feedback, type FeedbackState } from '../feedback.ts';
import { tokenizer } from '../tokens.ts';
import { loadPlugin, type PluginFile } from './plugins.ts';

export interface Task {
  readonly options?: CompressOptions;
  readonly conversation?: ConversationOptions;
  /** Overrules what `auto` picks, by content type. */
  readonly fixed?: Readonly<Record<string, string>>;
  readonly learned?: FeedbackState;
  readonly plugins?: readonly PluginFile[];
  readonly maxTokens: number;
}

export type Outcome =
  | { text: Compressed }
  | { conversation: CompressedConversation }
  | { refused: { code: string; field: string; message: string } };

export default async function work(task: Task): Promise<Outcome> {
  try {
    if (task.conversation) {
      for (const { content } of task.conversation.messages) checkLength(content, task, 'messages');
      return { conversation: compressConversation(task.conversation) };
    }
    const options = task.options as CompressOptions;
    checkLength(options.text, task, 'text');
    const feedback = task.learned && new Feedback(task.learned);
    const prefer: CompressOptions['prefer'] = (type, ratio, usual) =>
      task.fixed?.[type] ?? feedback?.prefer(type, ratio, usual);
    const plugins = await Promise.all((task.plugins ?? []).map(loadPlugin));
    return { text: compress({ ...options, prefer, plugins }) };
  } catch (error) {
    if (!(error instanceof CompressionError)) throw error;
    return { refused: { code: error.code, field: error.field, message: error.message } };
  }
}

function checkLength(text: string, { maxTokens, options, conversation }: Task, field: string): void {
  // A token has at least one byte; only texts that could be too long are counted.
  if (text.length <= maxTokens) return;
  const tokens = tokenizer(options?.tokenizer ?? conversation?.tokenizer ?? 'o200k_base').count(text);
  if (tokens > maxTokens)
    throw new CompressionError('TooLong', field, `${field} has ${tokens} tokens; ${maxTokens} are allowed`);
}
