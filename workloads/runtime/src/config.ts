// Configuration from a mounted JSON file and the environment: checked as a whole at the start, read again when the file changes.
import { readFile, stat } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import type { z } from 'zod';
import { QuintetError } from './errors.ts';
import { type Watch, watchPath } from './watch.ts';

export interface ConfigOptions<S extends z.ZodType> {
  schema: S;
  /** JSON; a custom resource stands for its `spec`. Left out or absent, only the environment and the defaults count. */
  file?: string | undefined;
  /** Counts where neither the file nor the environment says otherwise. */
  defaults?: Record<string, unknown> | undefined;
  /** `QUINTET_CONFIG__CACHE__MAX_ENTRIES=5` sets `cache.maxEntries`; values are JSON where they parse as such, else text. */
  env?: NodeJS.ProcessEnv | undefined;
  /** Paths that may change while running, such as `rateLimits` or `batching.maxSize`. */
  reloadable?: readonly string[] | undefined;
  /** Called with the new configuration and the paths that changed. When it throws, the old one stays. */
  onReload?: (config: z.output<S>, changed: readonly string[]) => void | Promise<void>;
  /** Called when a changed file is not taken over: not valid, or changed where only a restart helps. */
  onRefused?: (error: unknown) => void;
  interval?: number;
}

export interface Config<T> {
  readonly current: T;
  /** Paths that changed in the file and wait for a restart. */
  readonly restartNeeded: readonly string[];
  check: () => Promise<void>;
  close: () => void;
}

const prefix = 'QUINTET_CONFIG__';
const fileLimit = 8 << 20;

/** Throws `CONFIG_INVALID` with the field, the reason and the source. */
export async function openConfig<S extends z.ZodType>(options: ConfigOptions<S>): Promise<Config<z.output<S>>> {
  const { schema, file, env = process.env, defaults = {}, reloadable = [] } = options;
  let current = await load(schema, file, env, defaults);
  let restartNeeded: string[] = [];
  const reload = async () => {
    const next = await load(schema, file, env, defaults);
    const changed = changes(current, next, '');
    restartNeeded = changed.filter(
      (path) => !reloadable.some((allowed) => path === allowed || path.startsWith(`${allowed}.`)),
    );
    if (restartNeeded.length > 0) {
      throw new QuintetError('CONFIG_INVALID', {
        reason: `${restartNeeded.join(', ')} can only change with a restart`,
        field: restartNeeded[0],
        source: file,
      });
    }
    if (changed.length === 0) return;
    await options.onReload?.(next, changed);
    current = next;
  };
  const watch: Watch | undefined =
    file === undefined
      ? undefined
      : await watchPath(
          file,
          () => reload().catch((error: unknown) => options.onRefused?.(error)),
          options.interval === undefined ? {} : { interval: options.interval },
        );
  return {
    get current() {
      return current;
    },
    get restartNeeded() {
      return restartNeeded;
    },
    check: async () => watch?.check(),
    close: () => watch?.close(),
  };
}

async function load<S extends z.ZodType>(
  schema: S,
  file: string | undefined,
  env: NodeJS.ProcessEnv,
  defaults: Document,
): Promise<z.output<S>> {
  const document = merged(merged(defaults, await readDocument(file)), fromEnvironment(env));
  const result = schema.safeParse(document);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.join('.') ?? '';
  const reason = result.error.issues
    .slice(0, 8)
    .map((each) => `${each.path.join('.') || 'the document'}: ${each.message}`);
  throw new QuintetError('CONFIG_INVALID', { reason: reason.join('; '), field, source: file ?? 'the environment' });
}

type Document = Record<string, unknown>;

async function readDocument(file: string | undefined): Promise<Document> {
  if (file === undefined) return {};
  const info = await stat(file).catch(() => undefined);
  if (!info) return {};
  const refuse = (reason: string): never => {
    throw new QuintetError('CONFIG_INVALID', { reason, field: 'the document', source: file });
  };
  if (info.size > fileLimit) refuse(`it is larger than ${fileLimit} bytes`);
  try {
    const document: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (!isPlain(document)) return refuse('it is not an object');
    if (typeof document['apiVersion'] !== 'string' || !isPlain(document['spec'])) return document;
    const { namespace, name } = isPlain(document['metadata']) ? document['metadata'] : {};
    const known = typeof namespace === 'string' && typeof name === 'string';
    return known ? { ...document['spec'], resource: { namespace, name } } : document['spec'];
  } catch (error) {
    return error instanceof SyntaxError ? refuse(`it is not JSON: ${error.message}`) : Promise.reject(error);
  }
}

/** Only names with the full prefix count: Kubernetes adds `QUINTET_…` variables of its own for services of that name. */
function fromEnvironment(env: NodeJS.ProcessEnv): Document {
  const document: Document = {};
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(prefix) || text === undefined) continue;
    const path = name.slice(prefix.length).split('__').map(camelCase);
    let at = document;
    for (const part of path.slice(0, -1)) at = isPlain(at[part]) ? at[part] : (at[part] = {});
    at[path.at(-1) ?? ''] = valueOf(text);
  }
  return document;
}

function camelCase(part: string): string {
  return part.toLowerCase().replace(/_([a-z0-9])/g, (_whole, letter: string) => letter.toUpperCase());
}

function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function merged(base: Document, over: Document): Document {
  const result: Document = { ...base };
  for (const [name, value] of Object.entries(over)) {
    if (name === '__proto__') continue;
    const below = result[name];
    result[name] = isPlain(below) && isPlain(value) ? merged(below, value) : value;
  }
  return result;
}

/** Paths of the deepest objects' members that differ; lists differ as a whole. */
function changes(before: unknown, after: unknown, path: string): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isPlain(before) || !isPlain(after)) return [path];
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name) => changes(before[name], after[name], path === '' ? name : `${path}.${name}`));
}

function isPlain(value: unknown): value is Document {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
