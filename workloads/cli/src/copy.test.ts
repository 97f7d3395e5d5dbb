import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const bin = fileURLToPath(new URL('../bin/quintet.js', import.meta.url));
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quintet-cli-copy-'));
  writeFileSync(
    join(folder, 'brief.yaml'),
    'product: Lumen lamp\nfacts: [it runs 40 hours, it weighs 90 g, it is warm]\ncallToAction: Order it\n',
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const copy = (...args: string[]) =>
  spawnSync(process.execPath, [bin, 'copy', ...args], { cwd: folder, encoding: 'utf8', timeout: 60_000 });

describe('quintet copy', { timeout: 120_000 }, () => {
  it('fills templates, says that no model wrote, and repeats itself for the same seed', () => {
    const first = copy('brief.yaml', '--template', 'pas', '-n', '2', '--seed', '4');
    expect(first).toMatchObject({ status: 0, stderr: '' });
    expect(first.stdout).toMatch(/^pas, no language model wrote this.*\n1\. score [01]\.\d\d.*Lumen lamp/s);
    expect(copy('brief.yaml', '--template', 'pas', '-n', '2', '--seed', '4').stdout).toBe(first.stdout);
  });

  it('obeys the guardrails of a CopyEngine, and templates of a folder', () => {
    writeFileSync(
      join(folder, 'engine.yaml'),
      'apiVersion: quintet.dev/v1alpha1\nkind: CopyEngine\nmetadata: {name: c}\nspec: {runtime: Template, guardrails: {required: [Lumen lamp], banned: [warm]}}\n',
    );
    mkdirSync(join(folder, 'own'));
    writeFileSync(
      join(folder, 'own/own.yaml'),
      'name: own\ntitle: Own\nprompt: x\nparts: [["{{product}}."], ["{{fact}}."]]\n',
    );
    const { status, stdout } = copy(
      'brief.yaml',
      '--engine',
      'engine.yaml',
      '--prompts',
      'own',
      '--template',
      'own',
      '--json',
    );
    const answer = JSON.parse(stdout) as { variants: { text: string }[]; writtenBy: string };
    expect({ status, writtenBy: answer.writtenBy }).toEqual({ status: 0, writtenBy: 'Template' });
    expect(answer.variants.map(({ text }) => text).sort()).toEqual([
      'Lumen lamp. It runs 40 hours.',
      'Lumen lamp. It weighs 90 g.',
    ]);
  });

  it('ends with 2 and says what is wrong', () => {
    writeFileSync(join(folder, 'bad.yaml'), 'product: 3\n');
    expect(copy('bad.yaml')).toMatchObject({ status: 2, stderr: expect.stringMatching(/product/) });
    expect(copy('absent.yaml')).toMatchObject({ status: 2, stderr: expect.stringMatching(/absent\.yaml/) });
    const noModel = copy('brief.yaml', '--model', 'absent.gguf');
    expect(noModel).toMatchObject({ status: 2, stderr: expect.stringMatching(/absent\.gguf.*ENOENT/) });
  });
});
