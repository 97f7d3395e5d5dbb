// What a request asks for, checked and put into the options of the library; and the answer when its time ran out.
import { QuintetError } from '@quintet/runtime';
import type { CompressOptions } from '../compress.ts';
import type { ConversationOptions, Policy } from '../conversation.ts';
import type { ServiceConfig } from './config.ts';
import type { CompressAnswer, CompressRequest } from './schema.ts';

/** Members that mean nothing for a conversation: each message is compressed by itself, for all turns to come. */
const ofTexts = ['targetTokens', 'query', 'protect', 'fidelity', 'baseId', 'legend', 'markers'] as const;

/** @throws INVALID_REQUEST naming the field. */
export function checkRequest(request: CompressRequest, { compression, originals }: ServiceConfig): void {
  const refuse = (field: string, reason: string): never => {
    throw new QuintetError('INVALID_REQUEST', { field, reason });
  };
  const { text, messages, ratio, targetTokens, baseId, markers } = request;
  if ((text === undefined) === (messages === undefined)) refuse('text', 'give either text or messages');
  if (ratio !== undefined && targetTokens !== undefined)
    refuse('targetTokens', 'give either ratio or targetTokens, not both');
  if ((ratio ?? 1) > compression.maxRatio) refuse('ratio', `ratio must not exceed ${compression.maxRatio}`);
  if (messages) {
    for (const field of ofTexts)
      if (request[field] !== undefined)
        refuse(field, `${field} has no effect on messages: what was sent once stays the same turn after turn`);
  }
  if (baseId) {
    if (targetTokens !== undefined)
      refuse('targetTokens', 'a change of an earlier text takes a ratio, not targetTokens');
    if (request.protect) refuse('protect', 'a change of an earlier text cannot protect parts');
    if (markers === 'addressed') refuse('markers', 'the parts of a changed text have offsets of their own');
    if (request.legend) refuse('legend', 'the parts of a changed text cannot share a legend');
  }
  if (markers === 'addressed' && originals.mode === 'Dropped')
    refuse('markers', 'originals are not kept here, so there is nothing to ask for by the offsets');
  for (const { start, end } of request.protect ?? [])
    if (end < start) refuse('protect', 'the end of a protected part comes before its start');
}

/** Characters, for a first estimate of the tokens. */
export function lengthOf({ text, messages }: CompressRequest): number {
  return text?.length ?? messages?.reduce((sum, { content }) => sum + content.length, 0) ?? 0;
}

export function textOptions(request: CompressRequest, { compression }: ServiceConfig): CompressOptions {
  const measure =
    request.fidelity ??
    (compression.fidelity === 'Measure' || (compression.fidelity === 'Sample' && Math.random() < 0.05));
  return {
    text: request.text as string,
    ...(request.targetTokens === undefined
      ? { ratio: request.ratio ?? compression.defaultRatio }
      : { targetTokens: request.targetTokens }),
    ...(request.query && { query: request.query }),
    strategy: strategyOf(request, compression.strategy, request.baseId !== undefined || request.legend === false),
    tokenizer: request.tokenizer ?? compression.tokenizer,
    ...(request.protect && { protect: request.protect }),
    // Plain is what leaving it out means: one entry of the cache for both.
    ...(request.markers === 'addressed' && { markers: 'addressed' as const }),
    ...(request.baseId ? { legend: false } : request.legend !== undefined && { legend: request.legend }),
    fidelity: measure,
  };
}

export function conversationOptions(
  request: CompressRequest,
  { compression, conversations }: ServiceConfig,
): ConversationOptions {
  const lower = (word: string): never => word.toLowerCase() as never;
  // Protected roles come first: no policy takes their protection away.
  const policies: Policy[] = conversations.protectedRoles.map((role) => ({ role: lower(role), action: 'Keep' }));
  for (const { protect, role, tool, tag, ratio, strategy } of conversations.policies)
    policies.push({
      action: protect ? 'Keep' : 'Compress',
      ...(role && { role: lower(role) }),
      ...(tool && { tool }),
      ...(tag && { tag }),
      ...(ratio && { ratio }),
      ...(strategy && { strategy: withoutLegend(strategy.toLowerCase()) }),
    });
  return {
    messages: request.messages as ConversationOptions['messages'],
    ratio: request.ratio ?? compression.defaultRatio,
    strategy: strategyOf(request, compression.strategy, true),
    keepRecent: conversations.keepLast,
    policies,
    tokenizer: request.tokenizer ?? compression.tokenizer,
  };
}

/** The request's own text, said to be unchanged: late is worse than long. Tokens are not counted: that takes time too. */
export function unchanged({ text, messages }: CompressRequest, reason: string): CompressAnswer {
  return {
    ...(text === undefined ? { messages } : { text, spans: text ? [{ start: 0, end: text.length, kept: true }] : [] }),
    ratio: 1,
    strategy: 'none',
    unchanged: reason,
    source: 'miss',
  };
}

function strategyOf(request: CompressRequest, configured: string, inParts: boolean): string {
  if (request.strategy) return request.strategy.toLowerCase();
  return inParts ? withoutLegend(configured.toLowerCase()) : configured.toLowerCase();
}

/** Where several texts go to the model together, what is configured for texts alone falls back to what suits them. */
function withoutLegend(strategy: string): string {
  return strategy === 'frequency' ? 'auto' : strategy;
}
