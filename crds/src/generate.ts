// Writes the committed manifests and the API reference; with --check compares them and fails when they differ.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { kinds } from './kinds.ts';
import { manifestText } from './manifest.ts';
import { referenceText } from './reference.ts';
import { group } from './v1alpha1/definition.ts';

const repository = join(import.meta.dirname, '..', '..');
const manifests = join(repository, 'crds', 'manifests');

/** Path of each generated file, absolute, and its text. */
export function generated(): Map<string, string> {
  const files = new Map(
    kinds.map((definition) => [join(manifests, `${group}_${definition.plural}.yaml`), manifestText(definition)]),
  );
  return files.set(join(repository, 'docs', 'reference', 'api.md'), referenceText(kinds));
}

/** One line for each file that is missing, stale or left over; none when all is as generated. */
export function drift(): string[] {
  const files = generated();
  const differences = [...files].flatMap(([path, text]) => {
    const committed = readIfThere(path);
    if (committed === text) return [];
    return [
      `${relative(repository, path)}: ${committed === undefined ? 'is missing' : firstDifference(committed, text)}`,
    ];
  });
  return [...differences, ...leftOver(files).map((path) => `${relative(repository, path)}: is no longer generated`)];
}

function write(): void {
  const files = generated();
  for (const path of leftOver(files)) rmSync(path);
  for (const [path, text] of files) {
    mkdirSync(dirname(path), { recursive: true });
    if (readIfThere(path) !== text) writeFileSync(path, text);
  }
}

function leftOver(files: ReadonlyMap<string, string>): string[] {
  const present = readdirSync(manifests, { withFileTypes: true }).filter((entry) => entry.isFile());
  return present.map(({ name }) => join(manifests, name)).filter((path) => path.endsWith('.yaml') && !files.has(path));
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function firstDifference(committed: string, text: string): string {
  const old = committed.split('\n');
  const current = text.split('\n');
  const at = current.findIndex((line, index) => line !== old[index]);
  const index = at === -1 ? current.length : at;
  const count = Math.abs(current.length - old.length);
  const size = count === 0 ? '' : ` (${count} lines ${current.length > old.length ? 'fewer' : 'more'} than generated)`;
  return `line ${index + 1} is ${quote(old[index])}, generated ${quote(current[index])}${size}`;
}

const quote = (line: string | undefined): string =>
  line === undefined ? 'not there' : JSON.stringify(line.trim().slice(0, 120));

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (process.argv.includes('--check')) {
    const differences = drift();
    for (const line of differences) process.stderr.write(`${line}\n`);
    if (differences.length > 0)
      process.stderr.write('Generated files differ from their sources: run make generate and commit.\n');
    process.exitCode = differences.length > 0 ? 1 : 0;
  } else {
    mkdirSync(manifests, { recursive: true });
    write();
  }
}
