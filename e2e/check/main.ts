// Runs all that must hold before anything lands, one check after the other, and ends with "N passed, N failed".
//   node e2e/check/main.ts [--all] [--only format,lint,unit] [--list]
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { ensurePrograms } from '../cluster/debian.ts';
import { checks } from './checks.ts';

interface Outcome {
  passed: number;
  failed: number;
  /** What failed and why, said again at the very end, where a cut log still shows it. */
  reasons: string[];
}

/** The part of Vitest's JSON report that is read here. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[];
  }[];
}

const { values } = parseArgs({
  options: { all: { type: 'boolean' }, only: { type: 'string' }, list: { type: 'boolean' } },
});
if (values.list) {
  for (const { name, shows } of checks) console.log(`${name.padEnd(12)} ${shows}`);
  process.exit(0);
}
const only = values.only?.split(',');
const unknown = only?.filter((name) => !checks.some((check) => check.name === name)) ?? [];
if (unknown.length > 0) {
  console.error(`no check is called ${unknown.join(', ')}; there are: ${checks.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

const scratch = mkdtempSync(join(tmpdir(), 'quintet-check-'));
const total: Outcome = { passed: 0, failed: 0, reasons: [] };
const failures: string[] = [];
const chosen = checks.filter(({ name, extra }) => only?.includes(name) ?? (values.all || !extra));
await Promise.all(chosen.filter(({ isStatic }) => isStatic).map((check) => perform(check, 'afterwards')));
for (const check of chosen.filter(({ isStatic }) => !isStatic)) await perform(check, 'at once');
rmSync(scratch, { recursive: true, force: true });
for (const reason of total.reasons) console.log(`\n✗ ${reason}`);
if (failures.length > 0) console.log(`\nfailed: ${failures.join(', ')}`);
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exit(total.failed > 0 ? 1 : 0);

/** Runs a check, counts what came of it, and says so; what it writes is shown at once, or in one piece when it has ended. */
async function perform(check: (typeof checks)[number], shown: 'at once' | 'afterwards'): Promise<void> {
  const started = performance.now();
  const title = `\n▶ ${check.name}: ${check.shows}`;
  if (shown === 'at once') console.log(title);
  if (check.name === 'unit') await ensureBrowser();
  const report = join(scratch, `${check.name}.json`);
  const args = check.vitest
    ? ['run', '--project', check.vitest, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
    : check.args;
  const { code, output } = await run(check.vitest ? 'vitest' : check.command, args, shown);
  if (shown === 'afterwards') console.log(`${title}\n${output.trimEnd()}`);
  const outcome = check.vitest
    ? tally(report, code)
    : { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, reasons: [] };
  total.passed += outcome.passed;
  total.failed += outcome.failed;
  total.reasons.push(...outcome.reasons);
  if (outcome.failed > 0) failures.push(check.name);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(
    `${outcome.failed > 0 ? '✗' : '✓'} ${check.name} (${outcome.passed} passed, ${outcome.failed} failed, ${seconds} s)`,
  );
}

/** Pages are looked at in a browser; without one those tests are skipped. */
async function ensureBrowser(): Promise<void> {
  try {
    await ensurePrograms(['chromium'], console.log);
  } catch (error) {
    console.log(`no page is looked at in a browser: ${(error as Error).message}`);
  }
}

function run(
  command: string,
  args: readonly string[],
  shown: 'at once' | 'afterwards',
): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const to = shown === 'at once' ? 'inherit' : 'pipe';
    const child = spawn(command, args, { stdio: ['ignore', to, to] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('error', (error) => {
      console.error(`${command} cannot be started: ${error.message}`);
      resolve({ code: 127, output });
    });
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

/** Counts tests; a run that broke outside any test (a hook, a worker, no report) is at least one failure. */
function tally(report: string, code: number): Outcome {
  try {
    const {
      numPassedTests: passed,
      numFailedTests: failed,
      testResults,
    } = JSON.parse(readFileSync(report, 'utf8')) as Report;
    return { passed, failed: code !== 0 && failed === 0 ? 1 : failed, reasons: testResults.flatMap(reasonsOf) };
  } catch {
    return { passed: 0, failed: 1, reasons: [] };
  }
}

function reasonsOf({ name, status, message, assertionResults }: Report['testResults'][number]): string[] {
  const broken = assertionResults.filter((result) => result.status === 'failed');
  if (broken.length === 0) return status === 'failed' ? [`${relative('.', name)}\n${short(message)}`] : [];
  return broken.map(({ fullName, failureMessages }) => {
    return `${relative('.', name)} > ${fullName}\n${short(failureMessages.join('\n'))}`;
  });
}

/** The first lines of a failure: the message and the nearest frames. */
function short(text: string): string {
  return text.split('\n').slice(0, 12).join('\n').slice(0, 1_500);
}
