// Texts that are on the machine (manual pages, documentation, code) or generated from a seed (JSON, logs, dialogue), each
// with questions built from it: the answer is a number, name or identifier that occurs once, the query some of the other
// words of its line. No method under test has a part in building them.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dialogue, jsonRecords, logLines } from './generate.ts';
import { type Random, seeded } from './random.ts';

export interface Question {
  readonly query: string;
  readonly answer: string;
}

export interface Sample {
  readonly name: string;
  readonly kind: 'manual' | 'documentation' | 'code' | 'json' | 'logs' | 'dialogue';
  readonly text: string;
  readonly questions: readonly Question[];
  /** Lines or records that differ from the rest; a good answer keeps them with or without a query. */
  readonly outliers: readonly string[];
}

const questionsEach = 6;
const longest = 12_000;

/** `each` documents of six kinds; different seeds take different files where there are enough. */
export function corpus(seed: number, each = 12): Sample[] {
  const random = seeded(seed);
  const samples: Sample[] = [];
  const add = (name: string, kind: Sample['kind'], text: string, outliers: readonly string[] = []): void => {
    samples.push({
      name,
      kind,
      text,
      questions: kind === 'json' ? jsonQuestions(text, random) : lineQuestions(text, random),
      outliers,
    });
  };
  for (const [name, text] of manuals(random, each)) add(name, 'manual', text);
  for (const [name, text] of files(random, each, (path) => /\.md$/i.test(path))) add(name, 'documentation', text);
  for (const [name, text] of files(random, each, (path) => /[^.].{0,80}(?<!\.min|\.d)\.(ts|mjs|js|py)$/.test(path)))
    add(name, 'code', text);
  for (let i = 0; i < each; i++) {
    const records = jsonRecords(random, i % 2 === 0);
    add(`orders-${i}.json`, 'json', records.text, records.outliers);
    const log = logLines(random);
    add(`service-${i}.log`, 'logs', log.text, log.outliers);
    add(`dialogue-${i}.txt`, 'dialogue', dialogue(random));
  }
  return samples;
}

function cut(text: string): string {
  if (text.length <= longest) return text;
  return text.slice(0, text.lastIndexOf('\n', longest) + 1 || longest);
}

function manuals(random: Random, count: number): [string, string][] {
  const folders = ['/usr/share/man/man1', '/usr/share/man/man5', '/usr/share/man/man8'];
  const paths = folders.flatMap((folder) => list(folder).map((file) => join(folder, file)));
  const found: [string, string][] = [];
  for (const path of random.shuffled(paths)) {
    if (found.length === count) break;
    const text = manual(path);
    if (text && text.length > 4000) found.push([path.split('/').pop() as string, cut(text)]);
  }
  return found;
}

function manual(path: string): string | undefined {
  try {
    const options = {
      env: { ...process.env, MANWIDTH: '80', MAN_KEEP_FORMATTING: '', GROFF_NO_SGR: '1' },
      stdio: 'pipe',
      maxBuffer: 1 << 26,
    } as const;
    const printed = execFileSync('man', ['-P', 'cat', '-l', path], options).toString('utf8');
    // Bold and underline are typed over with backspaces.
    const parts = printed.split(String.fromCharCode(8));
    return parts.map((part, i) => (i < parts.length - 1 ? part.slice(0, -1) : part)).join('');
  } catch {
    return undefined;
  }
}

function files(random: Random, count: number, wanted: (path: string) => boolean): [string, string][] {
  const root = join(dirname(fileURLToPath(import.meta.url)), '../../../node_modules');
  const packages = random.shuffled(list(root));
  const found: [string, string][] = [];
  for (const name of packages) {
    if (found.length === count) break;
    const candidates = random.shuffled(walk(join(root, name), 0).filter(wanted));
    for (const path of candidates.slice(0, 8)) {
      const text = readFileSync(path, 'utf8');
      const lines = text.split('\n');
      if (text.length < 4000 || lines.some((line) => line.length > 400)) continue;
      found.push([path.slice(root.length + 1), cut(text)]);
      break;
    }
  }
  return found;
}

function walk(folder: string, depth: number): string[] {
  if (depth > 3) return [];
  return list(folder).flatMap((name) => {
    const path = join(folder, name);
    if (name === 'node_modules') return [];
    try {
      const stat = statSync(path);
      return stat.isDirectory() ? walk(path, depth + 1) : stat.size < 200_000 ? [path] : [];
    } catch {
      return [];
    }
  });
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

const common = new Set(
  'the a an and or of to in is for on with as at by be are it this that from not if else return const let var function import export'.split(
    ' ',
  ),
);

function lineQuestions(text: string, random: Random): Question[] {
  const lines = text.split('\n');
  const questions: Question[] = [];
  for (const index of random.shuffled(lines.map((_, i) => i))) {
    if (questions.length === questionsEach) break;
    const line = lines[index] as string;
    const answers = (line.match(/[A-Za-z_]*\d[\w.]*\d|\d{2,}|\b[a-z]+[A-Z_]\w+|(?<=\w )[A-Z][a-z]{3,}/g) ?? []).filter(
      (answer) => text.indexOf(answer) === text.lastIndexOf(answer),
    );
    const answer = answers.length > 0 ? random.pick(answers) : undefined;
    if (!answer) continue;
    const words = (line.replace(answer, ' ').match(/[\p{L}\p{N}_]+/gu) ?? []).filter(
      (word) => word.length > 2 && !common.has(word.toLowerCase()),
    );
    if (words.length < 3) continue;
    const kept = words.filter(() => random.next() < 0.6).slice(0, 7);
    if (kept.length >= 2) questions.push({ query: kept.join(' '), answer });
  }
  return questions;
}

/** The value of one field of a record, asked for by the field's name and the record's id. */
function jsonQuestions(text: string, random: Random): Question[] {
  const records = (
    text.startsWith('[') ? JSON.parse(text) : (JSON.parse(text) as { orders: unknown }).orders
  ) as Record<string, string | number>[];
  const questions: Question[] = [];
  for (const record of random.shuffled(records)) {
    if (questions.length === questionsEach) break;
    const fields = Object.entries(record).filter(([key, value]) => key !== 'id' && text.split(`${value}`).length === 2);
    if (fields.length === 0) continue;
    const [key, value] = random.pick(fields);
    questions.push({ query: `What is the ${key} of order ${String(record.id)}?`, answer: String(value) });
  }
  return questions;
}
