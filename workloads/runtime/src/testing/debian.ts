// Finds a server binary, and as root on Debian installs its package, without starting the service that comes with it.
import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const installing = new Map<string, Promise<string>>();

/** Path of `binary`; installs `packageName` once if it is missing. Throws, naming the package, where that cannot be done. */
export function debianBinary(binary: string, packageName: string): Promise<string> {
  const known = installing.get(binary);
  if (known) return known;
  const found = findOrInstall(binary, packageName);
  installing.set(binary, found);
  return found;
}

async function findOrInstall(binary: string, packageName: string): Promise<string> {
  const present = await find(binary);
  if (present) return present;
  if (process.getuid?.() !== 0)
    throw new Error(`${binary} is needed by this test: install the Debian package ${packageName}`);
  // Runlevel 1 is what invoke-rc.d looks at before it starts a service.
  const env = { ...process.env, RUNLEVEL: '1', DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['-y', '-qq', '-o', 'DPkg::Lock::Timeout=120', 'install', '--no-install-recommends', packageName];
  await run('apt-get', install, { env }).catch(async () => {
    await run('apt-get', ['-qq', 'update'], { env });
    await run('apt-get', install, { env });
  });
  const installed = await find(binary);
  if (!installed) throw new Error(`package ${packageName} has no ${binary}`);
  return installed;
}

async function find(binary: string): Promise<string | undefined> {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/usr/sbin']) {
    const path = join(folder, binary);
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  return undefined;
}
