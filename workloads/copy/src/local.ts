// Variants of one brief on this machine: the engine as its pods run it, for one request.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request as send } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { startEngine } from '@quintet/runtime';
import type { z } from 'zod';
import { type CopyOptions, copyEngine } from './service/engine.ts';
import type { openAiError } from './service/errors.ts';
import type { copyRequest } from './service/schema.ts';
import type { CopyAnswer } from './service/writer.ts';

export interface LocalOptions {
  /** As the body of `POST /v1/copy`. */
  request: z.input<typeof copyRequest>;
  /** GGUF file; left out, templates are filled and no model writes. */
  model?: string | undefined;
  /** Folder with templates and brand voice, as a ConfigMap holds them. */
  prompts?: string | undefined;
  /** Blocks of a CopyEngine's spec: `generation`, `guardrails`, and of `model` what does not say where it is. */
  spec?: { generation?: { sequences?: number }; guardrails?: object; model?: object } | undefined;
  signal?: AbortSignal;
  /** Told often while a model is loaded and writes. */
  onProgress?: (message: string) => void;
}

/** Milliseconds, the most that a timer takes: nobody waits here but the one who may stop it. */
const longestAnswer = 2 ** 31 - 1;

/** Throws an `Error` that says what was wrong, and where in the brief. */
export async function writeLocally(options: LocalOptions): Promise<CopyAnswer> {
  const { request, model, prompts, spec = {}, signal, onProgress } = options;
  const folder = mkdtempSync(join(tmpdir(), 'quintet-copy-'));
  try {
    const path = model === undefined ? undefined : resolve(model);
    const configFile = join(folder, 'config.json');
    const source = path && { persistentVolumeClaim: { claimName: '.', path: basename(path) } };
    const config = {
      runtime: path === undefined ? 'Template' : 'LlamaCpp',
      ...(source && { model: { ...spec.model, source } }),
      ...(spec.generation && { generation: spec.generation }),
      ...(spec.guardrails && { guardrails: spec.guardrails }),
      ...(prompts !== undefined && { prompts: { configMap: { name: 'local' }, directory: resolve(prompts) } }),
      batching: { maxSize: Math.max(1, request.n ?? spec.generation?.sequences ?? 3) },
      server: { host: '127.0.0.1', port: 0, drainDelay: '0s' },
      logging: { level: 'silent' },
    };
    writeFileSync(configFile, JSON.stringify(config));
    const definition = copyEngine({
      retryAfter: 'Never',
      longestAnswer,
      ...(path !== undefined && { claims: dirname(path) }),
      ...(onProgress && { onLoading: onProgress, onBatch: countingTokens(onProgress) }),
    });
    const engine = await startEngine(definition, { configFile, env: { QUINTET_CACHE: folder } });
    try {
      await engine.started;
      return await post(`${engine.url}/v1/copy`, request, signal);
    } finally {
      await engine.drain();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Not by `fetch`, which gives up an answer that has not begun after five minutes. */
async function post(url: string, body: object, signal: AbortSignal | undefined): Promise<CopyAnswer> {
  const { promise, resolve: answered, reject } = Promise.withResolvers<IncomingMessage>();
  const headers = { 'content-type': 'application/json' };
  send(url, { method: 'POST', headers, agent: false, ...(signal && { signal }) }, answered)
    .once('error', reject)
    .end(JSON.stringify(body));
  const answer = await promise;
  const said: unknown = JSON.parse(await text(answer));
  if (answer.statusCode === 200) return said as CopyAnswer;
  throw new Error((said as z.output<typeof openAiError>).error.message);
}

function countingTokens(onProgress: (message: string) => void): NonNullable<CopyOptions['onBatch']> {
  let read = 0;
  let written = 0;
  return ({ promptTokens, answers }) => {
    read += promptTokens;
    written += answers;
    onProgress(written === 0 ? `${read} tokens of the brief read` : `${written} tokens written`);
  };
}
