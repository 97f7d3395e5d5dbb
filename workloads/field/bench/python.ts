// The Python of the peers: a virtual environment beside this file, made on first use, and a process that answers requests.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const alone = ['acoustools==1.2.0', 'k-wave-python==0.6.2'];
const python = join(here, '.venv/bin/python');

/** A Python that holds requirements.txt, or why there is none. */
export function peerPython(install = true): { python: string; missing?: never } | { python?: never; missing: string } {
  const ready = join(here, '.venv/installed.txt');
  const wanted = readFileSync(join(here, 'requirements.txt'), 'utf8');
  if (existsSync(ready) && readFileSync(ready, 'utf8') === wanted) return { python };
  if (!install) return { missing: 'the bench has not installed its Python yet (make bench NAME=field QUICK=1)' };
  try {
    console.error('installing the peers once …');
    execFileSync('python3', ['-m', 'venv', join(here, '.venv')], { stdio: ['ignore', 2, 2] });
    const pip = [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      '-r',
      join(here, 'requirements.txt'),
    ];
    execFileSync(python, pip, { stdio: ['ignore', 2, 2], timeout: 900_000 });
    // Alone: what they ask for is gigabytes of CUDA and of drawing, which the bench does without.
    execFileSync(python, [...pip.slice(0, -2), '--no-deps', ...alone], { stdio: ['ignore', 2, 2], timeout: 300_000 });
    writeFileSync(ready, wanted);
    return { python };
  } catch (error) {
    return { missing: `the peers cannot be installed: ${(error as Error).message.split('\n')[0]}` };
  }
}

export interface Peer {
  ask<T>(request: Record<string, unknown>): Promise<T>;
  close(): void;
}

/** peers.py, one JSON object a line each way. */
export function startPeer(interpreter: string): Peer {
  const child = spawn(interpreter, [join(here, 'peers.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting: { resolve: (answer: unknown) => void; reject: (error: Error) => void }[] = [];
  createInterface(child.stdout).on('line', (line) => {
    const answer = JSON.parse(line) as { error?: string };
    const next = waiting.shift();
    if (answer.error === undefined) next?.resolve(answer);
    else next?.reject(new Error(answer.error));
  });
  child.once('exit', (code) => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`peers.py ended with ${code}`));
  });
  return {
    ask<T>(request: Record<string, unknown>) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return new Promise<T>((resolve, reject) => waiting.push({ resolve: (answer) => resolve(answer as T), reject }));
    },
    close: () => child.kill(),
  };
}
