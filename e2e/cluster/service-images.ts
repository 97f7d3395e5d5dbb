// Images of Redis and PostgreSQL out of Debian's packages, for clusters whose nodes can pull nothing: the programs, the
// libraries that they load and their data, without a distribution around them. They take the settings that the images of
// the same name on Docker Hub take, as far as the chart uses them.
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { run } from './command.ts';
import { ensurePrograms } from './debian.ts';
import { type BuiltImage, copyInto, makeRootImage } from './images.ts';
import { sharedLibraries } from './shared-libraries.ts';
import type { OnProgress } from './tools.ts';

export type Service = 'redis' | 'postgres';

interface Recipe {
  /** Finds the package's name among those of this release. */
  findPackage: () => Promise<string>;
  /** Programs and loadable modules below the extracted packages whose libraries must come along. */
  programs: (extracted: string) => string[];
  /** Folders of data that come along whole. */
  data: (extracted: string) => string[];
  /** Files of our own, by path. */
  files: Record<string, string>;
  instructions: string[];
}

/** As the official image's entry point does: a database is made on first start, then the server takes over. */
const POSTGRES_START = `#!/bin/sh
set -e
: "\${PGDATA:=/data/pgdata}" "\${POSTGRES_USER:=postgres}"
: "\${POSTGRES_DB:=$POSTGRES_USER}"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  [ -n "$POSTGRES_PASSWORD" ] || { echo "POSTGRES_PASSWORD is not set" >&2; exit 1; }
  printf '%s\\n' "$POSTGRES_PASSWORD" | initdb --pgdata="$PGDATA" --username="$POSTGRES_USER" --pwfile=/dev/stdin \\
    --auth=scram-sha-256 --encoding=UTF8 --locale=C
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  if [ "$POSTGRES_DB" != postgres ]; then
    echo "CREATE DATABASE \\"$POSTGRES_DB\\";" | postgres --single -D "$PGDATA" postgres
  fi
fi
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp "$@"
`;

const RECIPES: Record<Service, Recipe> = {
  redis: {
    findPackage: () => Promise.resolve('redis-server'),
    programs: (extracted) =>
      ['redis-check-rdb', 'redis-cli']
        .map((name) => join(extracted, 'usr', 'bin', name))
        .filter((path) => existsSync(path)),
    data: () => [],
    files: {},
    instructions: [
      'USER 65532:65532',
      'WORKDIR /data',
      'ENTRYPOINT ["/usr/bin/redis-server"]',
      'CMD ["--protected-mode", "no"]',
    ],
  },
  postgres: {
    findPackage: newestPostgres,
    programs: (extracted) => {
      const home = postgresHome(extracted);
      const modules = readdirSync(join(home, 'lib')).filter(
        (name) => name.endsWith('.so') && !name.startsWith('llvmjit'),
      );
      const programs = ['postgres', 'initdb', 'pg_isready', 'psql'].map((name) => join(home, 'bin', name));
      return [...programs, ...modules.map((name) => join(home, 'lib', name))].filter((path) => existsSync(path));
    },
    data: (extracted) => [join(extracted, 'usr', 'share', 'postgresql'), join(extracted, 'usr', 'share', 'zoneinfo')],
    files: { 'usr/local/bin/start-postgres': POSTGRES_START },
    instructions: [
      'USER 65532:65532',
      'WORKDIR /data',
      'ENV PATH=/usr/local/bin:/usr/bin:/bin',
      'ENTRYPOINT ["/usr/local/bin/start-postgres"]',
    ],
  },
};

/** Makes those images that are not made yet; each is called localhost/quintet/SERVICE:dev. */
export async function makeServiceImages(
  services: Service[],
  onProgress: OnProgress = () => undefined,
): Promise<Record<Service, BuiltImage>> {
  const images: Partial<Record<Service, BuiltImage>> = {};
  for (const service of services) images[service] = await makeServiceImage(service, onProgress);
  return images as Record<Service, BuiltImage>;
}

async function makeServiceImage(service: Service, onProgress: OnProgress): Promise<BuiltImage> {
  await ensurePrograms(['dpkg-deb'], onProgress);
  const recipe = RECIPES[service];
  const packages = await libraryClosure(await recipe.findPackage());
  const sources = await run('apt-get', ['download', '--print-uris', ...packages]);
  return makeRootImage({
    name: service,
    reference: `localhost/quintet/${service}:dev`,
    inputs: [...sources.split('\n').sort(), JSON.stringify(recipe.files)],
    instructions: recipe.instructions,
    onProgress,
    async fill(root) {
      const scratch = mkdtempSync(join(tmpdir(), `quintet-${service}-`));
      try {
        await downloadAndExtract(packages, scratch);
        fillRoot(root, join(scratch, 'extracted'), recipe);
      } finally {
        rmSync(scratch, { recursive: true, force: true });
      }
    },
  });
}

/** The package and the libraries that it depends on, without the tools that only its installation scripts need. */
async function libraryClosure(name: string): Promise<string[]> {
  const kinds = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map((kind) => `--no-${kind}`);
  const list = (await run('apt-cache', ['depends', '--recurse', ...kinds, name])).split('\n');
  const isNeeded = (dependency: string) =>
    dependency === name ||
    (/^(lib|lua|zlib|tzdata$|redis-tools$|postgresql-client-\d+$)/.test(dependency) &&
      !/perl|^libllvm|^libz3|^libelogind|^libnewt|^libdebian-installer|^libc-bin|^libc-l10n/.test(dependency));
  return list.filter((line) => /^\w/.test(line) && isNeeded(line)).sort();
}

async function newestPostgres(): Promise<string> {
  const depends = await run('apt-cache', ['depends', 'postgresql']);
  const name = /postgresql-\d+/.exec(depends)?.[0];
  if (!name) throw new Error("Debian's package postgresql names no version; apt-get update may be needed");
  return name;
}

async function downloadAndExtract(packages: string[], scratch: string): Promise<void> {
  const downloads = join(scratch, 'downloads');
  mkdirSync(downloads);
  // As root: apt's own user may not enter the folder, which it only warns of.
  await run('apt-get', ['download', '--quiet', '-o', 'APT::Sandbox::User=root', ...packages], {
    cwd: downloads,
    timeoutMs: 300_000,
  });
  for (const file of readdirSync(downloads)) {
    await run('dpkg-deb', ['--extract', join(downloads, file), join(scratch, 'extracted')]);
  }
}

function fillRoot(root: string, extracted: string, recipe: Recipe): void {
  const libraryPath = ['lib', 'usr/lib']
    .flatMap((folder) => ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map((triple) => join(extracted, folder, triple)))
    .join(':');
  const inside = (path: string) => (path.startsWith(`${extracted}/`) ? path.slice(extracted.length) : path);
  for (const program of [...recipe.programs(extracted), '/bin/sh']) {
    copyInto(root, program, inside(program));
    for (const library of sharedLibraries(program, libraryPath)) copyInto(root, library, inside(library));
  }
  for (const folder of recipe.data(extracted)) cpSync(folder, join(root, inside(folder)), { recursive: true });
  for (const [path, text] of Object.entries(recipe.files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text, { mode: 0o755 });
  }
  mkdirSync(join(root, 'data'));
  chmodSync(join(root, 'data'), 0o777);
  linkPrograms(root, extracted);
}

/** One program of Redis answers to several names, and PostgreSQL's lie in a folder of its version. */
function linkPrograms(root: string, extracted: string): void {
  const bin = join(root, 'usr', 'bin');
  mkdirSync(bin, { recursive: true });
  if (existsSync(join(bin, 'redis-check-rdb'))) symlinkSync('redis-check-rdb', join(bin, 'redis-server'));
  if (!existsSync(join(extracted, 'usr', 'lib', 'postgresql'))) return;
  const home = postgresHome(root);
  for (const name of readdirSync(join(home, 'bin'))) {
    symlinkSync(join('/usr/lib/postgresql', basename(home), 'bin', name), join(bin, name));
  }
}

function postgresHome(root: string): string {
  const folder = join(root, 'usr', 'lib', 'postgresql');
  return join(folder, readdirSync(folder).sort().at(-1) ?? '');
}
