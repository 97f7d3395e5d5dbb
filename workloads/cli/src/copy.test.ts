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
    writeFileSync(join(folder, 'body.yaml'), '{"brief": {"product": "lamp"}, "n": 2}');
    expect(copy('body.yaml').stderr).toBe(
      'body.yaml: this looks like the body of POST /v1/copy: keep what stands under "brief"; the rest are flags\n',
    );
    const noModel = copy('brief.yaml', '--model', 'absent.gguf');
    expect(noModel).toMatchObject({
      status: 2,
      stderr: `Model ${join(folder, 'absent.gguf')} cannot be read: there is no such file (ENOENT)\n`,
    });
  });

  it.each([
    { args: ['nope.yaml'], at: 'nope.yaml' },
    { args: ['brief.yaml', '--engine', 'nope.yaml'], at: 'nope.yaml' },
    { args: ['brief.yaml', '--prompts', 'nope'], at: 'nope' },
  ])('says in plain words that there is no $at of $args', ({ args, at }) => {
    expect(copy(...args)).toMatchObject({ status: 2, stderr: `${at}: there is no such file or folder\n` });
  });

  it('has templates answer for no other runtime', () => {
    writeFileSync(
      join(folder, 'servers.yaml'),
      'apiVersion: quintet.dev/v1alpha1\nkind: CopyEngine\nmetadata: {name: c}\nspec: {runtime: OpenAI, openai: {endpoints: [{name: a, url: "http://127.0.0.1:1/v1"}]}}\n',
    );
    expect(copy('brief.yaml', '--engine', 'servers.yaml')).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringMatching(/servers\.yaml: spec\.runtime: OpenAI is not run by this command/),
    });
  });

  it('takes every seed that a request may have, and as many variants', () => {
    for (const seed of ['0', '2147483647']) expect(copy('brief.yaml', '--seed', seed)).toMatchObject({ status: 0 });
    expect(copy('brief.yaml', '--seed', '2147483648').stderr).toMatch(/from 0 to 2147483647/);
    expect(copy('brief.yaml', '-n', '64')).toMatchObject({ status: 0 });
    expect(copy('brief.yaml', '-n', '65').stderr).toMatch(/from 1 to 64[^]*\(quintet copy --help shows how\)/);
  });

  it('explains itself, and refuses a command that there is not', () => {
    expect(copy('--help').stdout).toMatch(/Examples:[^]*product: Lumen lamp[^]*Exit codes: 0 done/);
    const unknown = spawnSync(process.execPath, [bin, 'field', '--help'], { encoding: 'utf8' });
    expect(unknown).toMatchObject({ status: 2, stdout: '', stderr: expect.stringMatching(/unknown command 'field'/) });
  });
});
