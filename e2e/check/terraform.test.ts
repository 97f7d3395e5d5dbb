// The Terraform module holds together, read without Terraform: what it uses is declared, and what it sets the chart has.
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const root = resolve(import.meta.dirname, '../..');
const folder = join(root, 'helm/terraform');
const texts = readdirSync(folder)
  .filter((name) => name.endsWith('.tf'))
  .map((name) => readFileSync(join(folder, name), 'utf8'));
const code = texts.join('\n').replaceAll(/^\s*#.*$/gm, '');

/** Top-level blocks: `TYPE "LABEL" "LABEL" {` up to the brace at the margin. */
function blocks(type: string): { name: string; body: string }[] {
  const pattern = new RegExp(`^${type}(?: "[^"]+")*? "([^"]+)" \\{\\n([\\s\\S]*?)^\\}$`, 'gm');
  return [...code.matchAll(pattern)].map(([, name = '', body = '']) => ({ name, body }));
}

const names = (pattern: RegExp) => new Set([...code.matchAll(pattern)].map(([, name = '']) => name));
const variables = blocks('variable');

describe('the Terraform module', () => {
  it('declares every variable once, with description and type, and uses it', () => {
    const declared = variables.map(({ name }) => name);
    expect(declared).toHaveLength(new Set(declared).size);
    expect(names(/\bvar\.(\w+)/g)).toEqual(new Set(declared));
    const bare = variables.filter(
      ({ body }) => !/^ {2}description\s+= ".+\."$/m.test(body) || !/^ {2}type/m.test(body),
    );
    expect(bare).toEqual([]);
  });

  it('needs no variable to be set', () => {
    expect(variables.filter(({ body }) => !/^ {2}default/m.test(body))).toEqual([]);
  });

  it('describes its outputs, and refers to the one resource it has', () => {
    expect(blocks('output').filter(({ body }) => !/description\s+= ".+"/.test(body))).toEqual([]);
    expect(blocks('resource').map(({ name }) => name)).toEqual(['quintet']);
    expect(names(/= helm_release\.(\w+)\./g)).toEqual(new Set(['quintet']));
  });

  it('sets values that the chart has, for engines that it knows', () => {
    const values = parse(readFileSync(join(root, 'helm/quintet/values.yaml'), 'utf8')) as Record<string, object>;
    const set = ['image', 'engines', 'replicas', 'namespaces', 'serviceMonitor', 'networkPolicy', 'argocd'];
    for (const key of set) {
      expect(code).toMatch(new RegExp(`\\b${key}\\s+= `));
      expect(values).toHaveProperty(key);
    }
    const [, engines = ''] = /\["(field"[^\]]+)"\]/.exec(code) ?? [];
    const { pullPolicy: _pullPolicy, ...known } = values.engines as Record<string, unknown>;
    expect(engines.split('", "').map((name) => name.replace('"', ''))).toEqual(Object.keys(known));
  });

  it('closes what it opens and is indented by twos', () => {
    for (const text of texts) {
      const bare = text.replaceAll(/"(?:[^"\\]|\\.)*"|#.*$/gm, '');
      for (const [open = '', close = ''] of ['{}', '[]', '()']) {
        expect(bare.split(open)).toHaveLength(bare.split(close).length);
      }
      expect(text).not.toMatch(/^(?: {2})* \S|\t|[ \t]$/m);
      expect(text).toMatch(/[^\n]\n$/);
    }
  });
});
