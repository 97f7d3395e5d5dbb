// Strategies of the user's own: JavaScript modules from ConfigMaps, loaded by digest, so that a changed one counts at once.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { secretsRoot } from '@quintet/crds';
import { CompressionError } from '../errors.ts';
import { render } from '../render.ts';
import { choose } from '../selection.ts';
import type { Strategy } from '../strategy.ts';
import type { ServiceConfig } from './config.ts';

export interface PluginFile {
  readonly name: string;
  readonly file: string;
  /** Of its code: part of every cache key, and of the module's address. */
  readonly digest: string;
}

/** What a plugin's default export is called with, as a ConfigMap cannot import this package. It returns a strategy without its name. */
const offered = { choose, render };
export type PluginFactory = (api: typeof offered) => Pick<Strategy, 'compress'>;

/** The mounted plugins as they are now. Throws when one cannot be read. */
export function pluginFiles({ compression }: ServiceConfig): PluginFile[] {
  return compression.plugins.map(({ name, configMap: { directory, key } }) => {
    const file = `${directory ?? `${secretsRoot}/compression.plugins.${name}.configMap`}/${key}`;
    return { name, file, digest: createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 16) };
  });
}

const loaded = new Map<string, Strategy>();

/** Throws a `CompressionError` for a module that cannot be loaded or exports no function. */
export async function loadPlugin({ name, file, digest }: PluginFile): Promise<Strategy> {
  const known = loaded.get(name + digest);
  if (known) return known;
  const refuse = (reason: string): never => {
    throw new CompressionError('PluginFailed', 'strategy', `the plugin ${name} ${reason}`);
  };
  let made: Pick<Strategy, 'compress'> | undefined;
  try {
    const { default: factory } = (await import(`${pathToFileURL(file).href}?${digest}`)) as { default?: PluginFactory };
    made = factory?.(offered);
  } catch (error) {
    refuse(`cannot be loaded: ${(error as Error).message}`);
  }
  const run = made;
  if (typeof run?.compress !== 'function') return refuse('must export a function that returns {compress}');
  const strategy: Strategy = { name, compress: (input) => run.compress(input) };
  for (const old of loaded.keys()) if (old.startsWith(name) && old.length === name.length + 16) loaded.delete(old);
  loaded.set(name + digest, strategy);
  return strategy;
}
