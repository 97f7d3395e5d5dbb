// Mounts below a folder: containers' root file systems and the volumes that a kubelet mounts.
import { readFileSync } from 'node:fs';
import { tryRun } from './command.ts';

/** Unmounts everything below `folder`, the innermost first. */
export async function unmountBelow(folder: string): Promise<void> {
  for (const point of mountsBelow(folder, readFileSync('/proc/self/mountinfo', 'utf8'))) {
    await tryRun('umount', ['--lazy', point]);
  }
}

/** Mount points below `folder` in the text of /proc/PID/mountinfo, the last mounted first. */
export function mountsBelow(folder: string, mountinfo: string): string[] {
  return mountinfo
    .split('\n')
    .map((line) => unescape(line.split(' ')[4] ?? ''))
    .filter((point) => point.startsWith(`${folder}/`))
    .reverse();
}

/** The kernel writes blanks and backslashes in paths as octal numbers. */
function unescape(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
