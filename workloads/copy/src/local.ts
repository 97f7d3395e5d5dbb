// Variants of one brief on this machine: the engine as its pods run it, for one request.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { startEngine } from '@quintet/runtime';
import type { z } from 'zod';
import { copyEngine } from './service/engine.ts';
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
  spec?: { generation?: object; guardrails?: object; model?: object } | undefined;
  signal?: AbortSignal;
}

/** Throws an `Error` that says what was wrong, and where in the brief. */
export async function writeLocally(options: LocalOptions): Promise<CopyAnswer> {
  const { request, model, prompts, spec = {}, signal } = options;
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
      batching: { maxSize: Math.max(1, request.n ?? 3) },
      server: { host: '127.0.0.1', port: 0, drainDelay: '0s' },
      logging: { level: 'silent' },
    };
    writeFileSync(configFile, JSON.stringify(config));
    const definition = copyEngine({ retryAfter: 'Never', ...(path !== undefined && { claims: dirname(path) }) });
    const engine = await startEngine(definition, { configFile, env: { QUINTET_CACHE: folder } });
    try {
      await engine.started;
      const response = await fetch(`${engine.url}/v1/copy`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(request),
        ...(signal && { signal }),
      });
      const body = await response.json();
      if (response.ok) return body as CopyAnswer;
      const { message } = (body as z.output<typeof openAiError>).error;
      throw new Error(message);
    } finally {
      await engine.drain();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
