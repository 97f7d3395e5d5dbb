// Prompts that are plainly too long are refused, or cut, by their characters: counting the tokens of megabytes would hold up every other request.
import { QuintetError } from '@quintet/runtime';
import type { Prompt } from '../models/model.ts';

/** More than the tokens of texts that people write have on average. */
const charactersPerToken = 16;
/** Tokenizers work on what stands between breaks at once, and take more than linear time for it. */
const longestRun = 8000;

/** The prompt, cut at its beginning where that is allowed. Throws `INVALID_REQUEST`. `contextTokens` is undefined where a server counts. */
export function boundedPrompt(
  prompt: Prompt,
  contextTokens: number | undefined,
  overflow: 'Refuse' | 'Truncate',
): Prompt {
  if (contextTokens === undefined) return prompt;
  const most = contextTokens * charactersPerToken;
  const field = 'text' in prompt ? 'prompt' : 'messages';
  const texts = 'text' in prompt ? [prompt.text] : prompt.messages.map(({ content }) => content);
  const characters = texts.reduce((sum, text) => sum + text.length, 0);
  if (characters > most && overflow === 'Refuse') {
    const reason = `it has ${characters} characters; prompt and answer together have at most ${contextTokens} tokens`;
    throw new QuintetError('INVALID_REQUEST', { field, reason });
  }
  const fitting = characters > most ? cut(prompt, most) : prompt;
  for (const text of 'text' in fitting ? [fitting.text] : fitting.messages.map(({ content }) => content))
    if (hasLongRun(text))
      throw new QuintetError('INVALID_REQUEST', {
        field,
        reason: `more than ${longestRun} characters in it stand together without a break`,
      });
  return fitting;
}

/** The last `most` characters; messages before them are left out. */
function cut(prompt: Prompt, most: number): Prompt {
  if ('text' in prompt) return { text: prompt.text.slice(-most) };
  let room = most;
  const messages = prompt.messages
    .toReversed()
    .map(({ role, content }) => {
      const kept = room > 0 ? content.slice(-room) : '';
      room -= content.length;
      return { role, content: kept };
    })
    .filter(({ content }, index) => content !== '' || index === 0)
    .toReversed();
  return { messages };
}

/** Letters and digits are one run, other characters another: a text in Chinese has no spaces but marks. */
function hasLongRun(text: string): boolean {
  if (text.length <= longestRun) return false;
  for (const [run] of text.matchAll(/[\p{L}\p{N}\p{M}]+|[^\s\p{L}\p{N}\p{M}]+/gu))
    if (run.length > longestRun) return true;
  return false;
}
