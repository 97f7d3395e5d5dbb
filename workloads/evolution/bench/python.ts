// The peers' Python: an ignored virtual environment beside this file, made on first use from pinned versions, and a process for each peer.
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';

const folder = import.meta.dirname;
const home = join(folder, '.venv');
const python = join(home, 'bin', 'python');

type Phase = 'prepare' | 'run' | 'finish';
type Message = { readonly phase: Phase } | { readonly result: unknown } | { readonly error: string };

interface Process {
  readonly child: ChildProcessWithoutNullStreams;
  readonly lines: Interface;
}

/** Seconds; imports and helpers' start are preparation, judging is the finish. */
const limits: Readonly<Record<Phase, number>> = { prepare: 180, run: 600, finish: 120 };

/** Answers one request after another in one process, so that imports are paid once; a request that overruns costs the process. */
export class Peer {
  readonly name: string;
  #process: Process | undefined;
  #complaint = '';

  constructor(name: string) {
    this.name = name;
  }

  /** `call` and its arguments are those of `peers.py`. @throws Error saying which phase took too long, or what Python complained of */
  async ask(call: string, args: readonly unknown[], runLimit = limits.run): Promise<unknown> {
    this.#process ??= this.#start();
    const { child, lines } = this.#process;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    let timer: NodeJS.Timeout | undefined;
    const enter = (phase: Phase): void => {
      clearTimeout(timer);
      const limit = phase === 'run' ? runLimit : limits[phase];
      timer = setTimeout(() => {
        this.close();
        reject(new Error(`ended when its ${phase} took more than ${limit} s`));
      }, 1000 * limit);
    };
    const heard = (line: string): void => {
      const message = JSON.parse(line) as Message;
      if ('phase' in message) enter(message.phase);
      else if ('error' in message) reject(new Error(message.error));
      else resolve(message.result);
    };
    const died = (): void => reject(new Error(`its Python ended: ${this.#complaint.trim().split('\n').at(-1)}`));
    lines.on('line', heard);
    child.once('close', died);
    enter('prepare');
    child.stdin.write(`${JSON.stringify({ call, args })}\n`);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      lines.off('line', heard);
      child.off('close', died);
    }
  }

  /** Ends the process and those that it started, whatever they do. */
  close(): void {
    const pid = this.#process?.child.pid;
    this.#process = undefined;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }

  #start(): Process {
    prepare();
    this.#complaint = '';
    const child = spawn(python, ['-u', join(folder, 'peers.py')], {
      // A group of its own, to be ended as one.
      detached: true,
      env: { ...process.env, OMP_NUM_THREADS: '2' },
    });
    const started: Process = { child, lines: createInterface(child.stdout) };
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-4000);
    });
    // Its end is told by `close`.
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => (this.#complaint = error.message));
    child.once('close', () => {
      if (this.#process === started) this.#process = undefined;
    });
    return started;
  }
}

function prepare(): void {
  const wanted = readFileSync(join(folder, 'requirements.txt'), 'utf8');
  const mark = join(home, 'requirements.txt');
  if (existsSync(mark) && readFileSync(mark, 'utf8') === wanted) return;
  console.error('installing the peers into bench/.venv …');
  run('python3', ['-m', 'venv', home]);
  run(python, [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '-r',
    join(folder, 'requirements.txt'),
  ]);
  writeFileSync(mark, wanted);
}

function run(command: string, args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 900_000 });
  if (status !== 0) throw new Error(`${command} ${args.slice(0, 3).join(' ')}: ${stderr.trim().split('\n').at(-1)}`);
}
