// Settings of the machine's kernel that every kubelet insists on and writes: remembered before the first node starts
// and put back after the last has ended.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.ts';
import { slotsInUse } from './network.ts';
import { stateDir } from './paths.ts';

const SETTINGS = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
];

/** Does nothing when an earlier node's record is there: that holds the values from before. */
export function rememberKernelSettings(): Promise<void> {
  return withLock('kernel settings', async () => {
    if (existsSync(recordPath())) return;
    const values = SETTINGS.map((setting) => [setting, readFileSync(`/proc/sys/${setting}`, 'utf8').trim()]);
    writeFileSync(recordPath(), JSON.stringify(Object.fromEntries(values)));
  });
}

/** Does nothing while a node stands. */
export function restoreKernelSettings(): Promise<void> {
  return withLock('kernel settings', async () => {
    if (slotsInUse() > 0 || !existsSync(recordPath())) return;
    const values = JSON.parse(readFileSync(recordPath(), 'utf8')) as Record<string, string>;
    for (const [setting, value] of Object.entries(values)) {
      if (SETTINGS.includes(setting)) writeFileSync(`/proc/sys/${setting}`, value);
    }
    rmSync(recordPath());
  });
}

function recordPath(): string {
  return join(stateDir(), 'kernel-settings.json');
}
