// Programs that the local node and image builds take from the system. As root on Debian or Ubuntu what is missing is
// installed; elsewhere the error says what to install.
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { run } from './command.ts';
import { withLock } from './lock.ts';
import type { OnProgress } from './tools.ts';

/** Debian package of each program, named by command or by path, and of each library, named as it is loaded. */
const PACKAGE_OF = {
  runc: 'runc',
  '/usr/lib/cni/ptp': 'containernetworking-plugins',
  nft: 'nftables',
  conntrack: 'conntrack',
  ip: 'iproute2',
  nsenter: 'util-linux',
  umount: 'mount',
  buildah: 'buildah',
  'dpkg-deb': 'dpkg',
  'libgomp.so.1': 'libgomp1',
  chromium: 'chromium',
} as const;

const libraryFolders = ['/lib', '/usr/lib'].flatMap((folder) => [
  folder,
  `${folder}64`,
  `${folder}/x86_64-linux-gnu`,
  `${folder}/aarch64-linux-gnu`,
]);

export type Program = keyof typeof PACKAGE_OF;

export const NODE_PROGRAMS: Program[] = ['runc', '/usr/lib/cni/ptp', 'nft', 'conntrack', 'ip', 'nsenter', 'umount'];

/** @throws when a program is missing and cannot be installed, naming the packages. */
export async function ensurePrograms(programs: Program[], onProgress: OnProgress = () => undefined): Promise<void> {
  const missing = () => [...new Set(programs.filter((program) => !isPresent(program)).map((name) => PACKAGE_OF[name]))];
  if (missing().length === 0) return;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    throw new Error(`these packages are needed: ${missing().join(' ')} (apt-get install ${missing().join(' ')})`);
  }
  await withLock('apt-get', async () => {
    const packages = missing();
    if (packages.length === 0) return;
    onProgress(`installing Debian packages: ${packages.join(' ')}`);
    const install = ['install', '-y', '--no-install-recommends', ...packages];
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    try {
      await run('apt-get', install, { env, timeoutMs: 600_000 });
    } catch {
      await run('apt-get', ['update'], { env, timeoutMs: 300_000 });
      await run('apt-get', install, { env, timeoutMs: 600_000 });
    }
  });
  if (missing().length > 0) throw new Error(`still missing after apt-get install: ${missing().join(' ')}`);
}

export function isPresent(program: string, path = process.env.PATH ?? ''): boolean {
  const isLibrary = /\.so(\.|$)/.test(program);
  const folders = isLibrary ? libraryFolders : [...path.split(delimiter), '/usr/sbin', '/sbin'];
  const places = isAbsolute(program) ? [program] : folders.map((folder) => join(folder, program));
  return places.some((place) => {
    try {
      accessSync(place, isLibrary ? constants.R_OK : constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
