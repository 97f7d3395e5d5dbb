// The Python of the peers: a virtual environment beside this file, made on first use.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Path of a Python with sumy, or undefined (with the reason printed) where it cannot be had. */
export function peerPython(): string | undefined {
  const here = dirname(fileURLToPath(import.meta.url));
  const python = join(here, '.venv/bin/python');
  try {
    if (!existsSync(join(here, '.venv/bin/ready'))) {
      console.error('installing the peers (sumy) once …');
      execFileSync('python3', ['-m', 'venv', join(here, '.venv')], { stdio: 'inherit' });
      execFileSync(
        python,
        ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', join(here, 'requirements.txt')],
        { stdio: 'inherit' },
      );
      execFileSync('touch', [join(here, '.venv/bin/ready')]);
    }
    return python;
  } catch (error) {
    console.error(
      `no sumy, so TextRank and LexRank are left out: ${error instanceof Error ? error.message.split('\n')[0] : ''}`,
    );
    return undefined;
  }
}
