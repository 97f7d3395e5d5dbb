// What a spec refers to, on this machine: ConfigMaps of the same YAML, and folders that stand for claims.
import { readFileSync, realpathSync } from 'node:fs';
import { join, sep } from 'node:path';
import type { FileReader } from '@quintet/field';
import { parseAllDocuments } from 'yaml';

type ConfigMaps = ReadonlyMap<string, Readonly<Record<string, string>>>;

/** Data of the ConfigMaps among the documents of a YAML file. */
export function configMapsOf(text: string): ConfigMaps {
  const found = new Map<string, Record<string, string>>();
  for (const document of parseAllDocuments(text)) {
    const object = document.toJS() as {
      kind?: unknown;
      metadata?: { name?: unknown };
      data?: Record<string, string>;
    } | null;
    if (object?.kind === 'ConfigMap' && typeof object.metadata?.name === 'string') {
      found.set(object.metadata.name, object.data ?? {});
    }
  }
  return found;
}

export function claimed(configMaps: ConfigMaps, claims: ReadonlyMap<string, string>): FileReader {
  return ({ type, name, file }) => {
    if (type === 'ConfigMap') {
      const text = configMaps.get(name)?.[file];
      if (text === undefined) throw new Error(`the same YAML must hold a ConfigMap ${name} with the key ${file}`);
      return text;
    }
    const folder = claims.get(name);
    if (type !== 'Claim' || folder === undefined)
      throw new Error(`say by --claim ${name}=FOLDER which folder stands for it`);
    const root = realpathSync(folder);
    const path = realpathSync(join(root, file));
    if (path !== root && !path.startsWith(`${root}${sep}`)) throw new Error(`${file} leaves ${folder}`);
    return readFileSync(path);
  };
}
