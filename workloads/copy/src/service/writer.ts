// A brief becomes variants: written by the model or realised from a template, checked, those alike dropped, those that break rules written again.
import { randomInt } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { type EngineContext, QuintetError, type Source } from '@quintet/runtime';
import type { z } from 'zod';
import { type Brief, messagesFor, textsOf } from '../brief/brief.ts';
import { checksOf, holds, orderIn, type Rules, similarity } from '../brief/checks.ts';
import { meaningOf } from '../brief/meaning.ts';
import { ranked, type Scored, scored } from '../brief/rank.ts';
import { type Prompts, realised, type Template } from '../brief/template.ts';
import type { ModelOptions } from './ask.ts';
import type { CopyConfig } from './config.ts';
import { defaultLength, type Generator } from './generator.ts';
import type { copyAnswer, copyRequest } from './schema.ts';

export interface WriterOptions {
  context: EngineContext<CopyConfig>;
  prompts: () => Prompts;
  /** Undefined with runtime Template. */
  generator: ModelOptions['generator'];
}

export type CopyRequest = z.output<typeof copyRequest>;
export type CopyAnswer = z.output<typeof copyAnswer>;
export type Write = (tenant: string, request: CopyRequest, signal: AbortSignal, cached: boolean) => Promise<CopyAnswer>;

interface Draft {
  text: string;
  source: Source;
  similarity?: number;
  promptTokens: number;
  completionTokens: number;
}

/** Rounds of writing again what was too alike or broke a rule. */
const rounds = 3;

export function writer({ context, prompts, generator }: WriterOptions): Write {
  return async (tenant, request, signal, cached) => {
    const { config } = context;
    const { templates, voice } = prompts();
    const template = templateOf(templates, request.template);
    const warnings = guard(request.brief, config);
    const model = generator(request.adapter, 'adapter');
    const rules = { ...rulesOf(request.brief, config), ...(!model && { filledIn: template.language }) };
    const given: Brief = { ...request.brief, ...rules, banned: [...rules.banned], required: [...rules.required] };
    const n = request.n ?? config.generation.sequences;
    // Templates stand in for a model only where the resource says so.
    if (!model && config.runtime !== 'Template') throw notLoaded();
    if (!model && request.adapter !== undefined)
      throw new QuintetError('NOT_FOUND', { what: `The adapter ${request.adapter}`, field: 'adapter' });
    const draw = model
      ? modelDrafts(model, { tenant, cached, request }, given, template, voice, config)
      : templateDrafts(template, given, request.seed ?? config.generation.seed ?? randomInt(2 ** 31));
    const done = model?.use();
    const { drafts, kept } = await write(draw, n, given, rules, config, signal).finally(done);
    if (kept.length === 0) throw nothingKept(drafts, given, rules);
    if (kept.length < n) warnings.push(`${kept.length} of ${n} variants: the others were too alike or broke a rule`);
    return {
      variants: ranked(kept),
      template: template.name,
      writtenBy: model ? 'Model' : 'Template',
      ...(model && revisionOf(model, config)),
      ...(config.prompts?.revision && { promptRevision: config.prompts.revision }),
      ...sourceOf(drafts),
      warnings,
      usage: {
        promptTokens: sum(drafts.map(({ promptTokens }) => promptTokens)),
        completionTokens: sum(drafts.map(({ completionTokens }) => completionTokens)),
      },
    };
  };
}

/** Of several drafts the one that cost most tells; one that was written for another brief is said to be so. */
function sourceOf(drafts: readonly Draft[]): Pick<CopyAnswer, 'source' | 'similarity'> {
  const meant = drafts.filter(({ similarity: least }) => least !== undefined);
  const made = drafts.find(({ source, similarity: least }) => source === 'miss' && least === undefined);
  return {
    source: made?.source ?? (meant.length > 0 ? 'semantic' : (drafts[0]?.source ?? 'miss')),
    ...(meant.length > 0 && { similarity: Math.min(...meant.map(({ similarity: least = 1 }) => least)) }),
  };
}

/** Of requests that came before the model did; `/readyz` says what it waits for. */
export function notLoaded(): QuintetError {
  return new QuintetError('NOT_READY', { reason: 'the model is not loaded', retryAfter: 5 });
}

function templateOf(templates: Prompts['templates'], name: string): Template {
  const template = templates.get(name);
  if (template) return template;
  throw new QuintetError('INVALID_REQUEST', {
    field: 'template',
    reason: `there is no template ${name}; there are ${[...templates.keys()].join(', ')}`,
  });
}

function revisionOf({ model }: Generator, config: CopyConfig) {
  return { model: model.id, modelRevision: config.model?.revision ?? model.revision };
}

/** Draws until there are `n` variants that keep the rules and differ, or the rounds are over. */
async function write(draw: Draw, n: number, given: Brief, rules: Rules, config: CopyConfig, signal: AbortSignal) {
  const drafts: Draft[] = [];
  const kept: Scored[] = [];
  const most = config.guardrails.onViolation === 'Refuse' ? 1 : rounds;
  for (let round = 0; round < most && kept.length < n; round++) {
    const fresh = await draw(round, n - kept.length, signal);
    drafts.push(...fresh);
    for (const { text } of fresh) {
      if (kept.length >= n) break;
      const next = variantOf(text, kept, given, rules, config);
      if (next) kept.push(next);
      await othersTurn(signal);
    }
  }
  return { drafts, kept };
}

/** Checks of many drafts take long enough to be felt by other requests. */
async function othersTurn(signal: AbortSignal): Promise<void> {
  await setImmediate();
  if (signal.aborted) throw signal.reason instanceof QuintetError ? signal.reason : new QuintetError('CANCELLED');
}

type Draw = (round: number, n: number, signal: AbortSignal) => Promise<Draft[]>;

function modelDrafts(
  { answers, model }: Generator,
  { tenant, cached, request }: { tenant: string; cached: boolean; request: CopyRequest },
  given: Brief,
  template: Template,
  voice: string | undefined,
  { generation, prompts, priorities }: CopyConfig,
): Draw {
  // Of the request, however many rounds it takes.
  const deadline = request.deadlineMs == null ? undefined : Date.now() + request.deadlineMs;
  const meaning = meaningOf(given);
  return async (round, n, signal) => {
    const base = request.seed ?? generation.seed;
    const { answers: made, source } = await answers(
      {
        tenant,
        prompt: { messages: messagesFor(given, template, voice) },
        n,
        maxTokens: request.maxTokens ?? defaultLength(model, generation.maxLength),
        temperature: request.temperature ?? generation.temperature,
        topP: generation.topP,
        topK: generation.topK,
        repetitionPenalty: generation.repetitionPenalty,
        stop: generation.stop,
        // Rounds have seeds of their own, far enough apart that no variant is written twice.
        seed: base === undefined ? undefined : (base + round * 1000) % 2 ** 31,
        // What is written ahead is always behind what was asked for.
        priority: priorities === 'Enabled' || request.priority === 'Low' ? (request.priority ?? 'Normal') : 'Normal',
        deadline,
        version: `${template.name}:${prompts?.revision ?? ''}:${round}`,
        tag: template.name,
        // Drafts that broke a rule of this brief are written anew for it.
        ...(round === 0 && { meaning: { ...meaning, same: [meaning.same, template.prompt, voice] } }),
        cached,
      },
      signal,
    );
    return made.map((answer) => ({ ...answer, text: answer.text.trim(), source }));
  };
}

function templateDrafts(template: Template, given: Brief, seed: number): Draw {
  if (!template.parts) {
    throw new QuintetError('UNPROCESSABLE', {
      field: 'template',
      reason: `template ${template.name} has no parts: it needs a language model, and runtime Template has none`,
    });
  }
  const random = seededRandom(seed);
  // A fact that holds a banned term would spoil every text it stands in.
  const facts = given.facts.filter((fact) => !given.banned.some((term) => holds(fact, term)));
  return async (_, n, signal) => {
    const drafts: Draft[] = [];
    // More than asked for: realising costs little, and alike ones are dropped.
    for (let at = 0; at < 8 * n; at++) {
      const text = realised(template, { ...given, facts: shuffled(facts, random) }, random);
      if (text !== undefined) drafts.push({ text, source: 'miss', promptTokens: 0, completionTokens: 0 });
      await othersTurn(signal);
    }
    return drafts;
  };
}

/** The draft with its checks; undefined when it is like one that is there, or breaks a rule and may be written again. */
function variantOf(
  text: string,
  kept: readonly Scored[],
  given: Brief,
  rules: Rules,
  { guardrails: { maxSimilarity, onViolation } }: CopyConfig,
): Scored | undefined {
  if (text === '' || kept.some((other) => similarity(other.text, text) > maxSimilarity)) return undefined;
  const checks = checksOf(text, given, rules);
  const broken = checks.some(({ passed }) => !passed);
  return broken && onViolation !== 'Report' ? undefined : scored(text, given, checks);
}

function guard(given: Brief, { guardrails }: CopyConfig): string[] {
  if (guardrails.injection === 'None') return [];
  const field = orderIn(textsOf(given));
  if (field === undefined) return [];
  const reason = `brief.${field} gives orders to the model; a brief says what is to be told, not what to do`;
  if (guardrails.injection === 'Refuse') throw new QuintetError('UNPROCESSABLE', { field: `brief.${field}`, reason });
  return [reason];
}

/** The rules of the resource and of the brief together; of two lengths the shorter. */
function rulesOf(given: Brief, { guardrails }: CopyConfig): Rules {
  const channel = guardrails.channels.find(({ name }) => name === given.channel)?.maxCharacters;
  const lengths = [channel, given.maxCharacters].filter((length) => length !== undefined);
  return {
    banned: [...guardrails.banned, ...given.banned],
    required: [...guardrails.required, ...given.required],
    readingLevel: guardrails.readingLevel,
    ...(lengths.length > 0 && { maxCharacters: Math.min(...lengths) }),
  };
}

function nothingKept(drafts: readonly Draft[], given: Brief, rules: Rules): QuintetError {
  const [first] = drafts;
  const broken = first ? checksOf(first.text, given, rules).filter(({ passed }) => !passed) : [];
  const reason = first
    ? `no variant kept the rules; the first broke ${broken.map(({ name, detail }) => `${name} (${detail})`).join(', ')}`
    : 'the brief says too little for this template: give facts or a call to action';
  return new QuintetError('UNPROCESSABLE', { field: 'brief', reason });
}

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  return values
    .map((value) => ({ value, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ value }) => value);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Numbers in [0, 1) from a 32-bit seed (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
