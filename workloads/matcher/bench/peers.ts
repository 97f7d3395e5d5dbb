// Peers from PyPI in an ignored virtual environment, pinned in requirements.txt.
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const folder = fileURLToPath(new URL('.', import.meta.url));

/** Output of a script of `peers/` as JSON; `input` is what it reads. */
export async function peer<T>(script: string, args: readonly string[], input = ''): Promise<T> {
  const python = `${folder}.venv/bin/python`;
  if (!existsSync(python)) {
    await run('python3', ['-m', 'venv', `${folder}.venv`]);
    await run(python, ['-m', 'pip', 'install', '-q', '-r', `${folder}requirements.txt`]);
  }
  const child = spawn(python, [`${folder}peers/${script}`, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(input);
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString()) as T;
}
