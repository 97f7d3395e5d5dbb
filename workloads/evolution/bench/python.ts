// The peers' Python: an ignored virtual environment beside this file, made on first use from pinned versions.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = import.meta.dirname;
const home = join(folder, '.venv');
const python = join(home, 'bin', 'python');

/** The last line that `peers.py` prints, parsed. Throws what it complained of. */
export function peer(...args: readonly (string | number)[]): unknown {
  prepare();
  const { status, stdout, stderr } = spawnSync(python, [join(folder, 'peers.py'), ...args.map(String)], {
    encoding: 'utf8',
    env: { ...process.env, OMP_NUM_THREADS: '2' },
    maxBuffer: 64 << 20,
    timeout: 600_000,
  });
  if (status !== 0) throw new Error(`peers.py ${args[0]} ${args[1]}: ${stderr.trim().split('\n').at(-1)}`);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? 'null');
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
