// Builds the images of the controller and the engines: compiled sources and production packages over one base.
//   node e2e/images.ts build [NAME…]
//   node e2e/images.ts stage copy-cuda|copy-vulkan     what the Containerfile copies, to be built over a base of one's own
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ensurePrograms } from './cluster/debian.ts';
import { type BuiltImage, buildImage } from './cluster/images.ts';
import { sharedLibraries } from './cluster/shared-libraries.ts';

const root = resolve(import.meta.dirname, '..');

interface Image {
  workspace: string;
  folder: string;
  /** File that it starts, below the workspace's dist. */
  entry: string;
  /** Shared libraries of no npm package, which the Containerfile's environment names. */
  libraries?: () => Promise<string[]>;
  /** A package that is not installed here, in the version of the one that it belongs to. */
  extra?: { name: string; versionOf: string };
}

/** The images, by name. */
export const images: Record<string, Image> = {
  controller: { workspace: '@quintet/controller', folder: 'controller', entry: 'main.js' },
  compression: { workspace: '@quintet/compression', folder: 'workloads/compression', entry: 'service/main.js' },
  copy: { workspace: '@quintet/copy', folder: 'workloads/copy', entry: 'main.js' },
  evolution: {
    workspace: '@quintet/evolution',
    folder: 'workloads/evolution',
    entry: 'main.js',
    libraries: lightgbmLibraries,
  },
  field: { workspace: '@quintet/field', folder: 'workloads/field', entry: 'main.js' },
  matcher: { workspace: '@quintet/matcher', folder: 'workloads/matcher', entry: 'main.js' },
};

const { copy: copyImage } = images;

/** Images for GPUs: hundreds of megabytes, over a base that has the vendor's libraries. */
const variants: Record<string, Image> = {
  'copy-cuda': withBuild('@node-llama-cpp/linux-x64-cuda'),
  'copy-vulkan': withBuild('@node-llama-cpp/linux-x64-vulkan'),
};

function withBuild(name: string): Image {
  return { ...(copyImage as Image), extra: { name, versionOf: 'node-llama-cpp' } };
}

/** Stages `build/images/NAME`: what the Containerfile copies to /app. */
async function stage(name: string): Promise<void> {
  const image = images[name] ?? variants[name];
  if (!image)
    throw new Error(`no image is called ${name}; there are: ${Object.keys({ ...images, ...variants }).join(', ')}`);
  const target = join(root, 'build/images', name);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const path of productionPackages(image.workspace)) {
    const real = realpathSync(path);
    if (real === path) copy(path, join(target, relative(root, path)), true);
    else copyWorkspace(real, join(target, 'node_modules'));
  }
  // Always there, so that the Containerfile's environment never names a folder that is not.
  mkdirSync(join(target, 'lib'));
  for (const library of (await image.libraries?.()) ?? [])
    copyFileSync(library, join(target, 'lib', basename(library)));
  if (image.extra) fetchPackage(image.extra, join(target, 'node_modules', image.extra.name));
  writeFileSync(join(target, 'package.json'), '{"type":"module"}\n');
  writeFileSync(join(target, 'main.js'), `import './node_modules/${image.workspace}/dist/${image.entry}';\n`);
}

/** Through npm, which checks what comes against the registry's digest. */
function fetchPackage({ name, versionOf }: NonNullable<Image['extra']>, target: string): void {
  const owner = readFileSync(join(root, 'node_modules', versionOf, 'package.json'), 'utf8');
  const { version } = JSON.parse(owner) as { version: string };
  mkdirSync(target, { recursive: true });
  const wanted = `${name}@${version}`;
  const packed = spawnSync('npm', ['pack', '--silent', '--pack-destination', target, wanted], { encoding: 'utf8' });
  const archive = join(target, packed.stdout.trim().split('\n').at(-1) ?? '');
  if (packed.status !== 0 || !existsSync(archive)) throw new Error(`${wanted} cannot be fetched: ${packed.stderr}`);
  const unpacked = spawnSync('tar', ['-xzf', archive, '-C', target, '--strip-components=1'], { encoding: 'utf8' });
  rmSync(archive);
  if (unpacked.status !== 0) throw new Error(`${wanted} cannot be unpacked: ${unpacked.stderr}`);
}

/** LightGBM's library, fetched by `make setup`, and the OpenMP runtime that it needs and slim bases lack. */
async function lightgbmLibraries(): Promise<string[]> {
  await ensurePrograms(['libgomp.so.1']);
  const library = lightgbmLibrary();
  const openmp = sharedLibraries(library).find((path) => basename(path).startsWith('libgomp.so'));
  if (!openmp) throw new Error('LightGBM needs libgomp: install the Debian package libgomp1');
  return [library, openmp];
}

function lightgbmLibrary(): string {
  const { status, stdout, stderr } = spawnSync(
    'npm',
    ['run', '--silent', 'fetch:lightgbm', '-w', '@quintet/evolution'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  const path = /\S+lib_lightgbm\.so/.exec(stdout)?.[0] ?? '';
  if (status !== 0 || !existsSync(path))
    throw new Error(`LightGBM's library cannot be fetched: ${stderr.trim() || stdout.trim()}`);
  return path;
}

/** Paths of the packages that a workspace needs at run time, itself included, as npm resolved them. */
function productionPackages(workspace: string): string[] {
  const { stdout } = spawnSync('npm', ['ls', '--workspace', workspace, '--omit=dev', '--all', '--parseable'], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const paths = stdout
    .trim()
    .split('\n')
    .filter((path) => path && path !== root);
  if (paths.length === 0) throw new Error(`npm ls knows no packages of ${workspace}: run make setup`);
  return [...new Set(paths)].filter(isForThisMachine);
}

/** npm installs some packages of other processors beside those of this one. */
function isForThisMachine(path: string): boolean {
  const { name, cpu } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as {
    name: string;
    cpu?: string[];
  };
  // Those of llama.cpp may be installed on others too, and say in their name what they run on.
  const [, processor = process.arch] = /-(x64|arm64|armv7l|ia32)$/.exec(name) ?? [];
  return processor === process.arch && (!cpu || cpu.includes(process.arch));
}

/** A workspace's package.json and what it publishes: dist, and the folders its `files` name. */
function copyWorkspace(path: string, modules: string): void {
  const manifest = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as { name: string; files?: string[] };
  const target = join(modules, manifest.name);
  mkdirSync(target, { recursive: true });
  cpSync(join(path, 'package.json'), join(target, 'package.json'));
  for (const folder of manifest.files ?? ['dist']) {
    if (existsSync(join(path, folder))) copy(join(path, folder), join(target, folder), false);
  }
}

const useless = /(\.d\.[cm]?ts|\.map|\.tsbuildinfo|\.md|\.test\.js|gitRelease\.bundle)$/i;

/** Libraries that a package brings for other systems and processors, as onnxruntime-node and webgpu do: images are Linux's and this processor's. */
function isForeign(inside: string): boolean {
  const [, system, processor] =
    /(?:^|\/)napi-v\d+\/([^/]+)(?:\/([^/]+))?/.exec(inside) ??
    /^dist\/(darwin|linux|win32)-(x64|arm64|universal)(?:\/|$)/.exec(inside) ??
    [];
  return (system !== undefined && system !== 'linux') || (processor !== undefined && processor !== process.arch);
}

function copy(from: string, to: string, nestedModulesApart: boolean): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, {
    recursive: true,
    dereference: true,
    filter: (source) => {
      const inside = relative(from, source);
      if (nestedModulesApart && inside.split('/')[0] === 'node_modules') return false;
      if (isForeign(inside)) return false;
      return !useless.test(inside) && !/(^|\/)(test|tests|docs|example|examples|benchmark|benchmarks)$/.test(inside);
    },
  });
}

/** Compiles, stages and builds; the archives are ready to be loaded into a cluster. */
export async function buildImages(names: readonly string[], onProgress: (line: string) => void): Promise<BuiltImage[]> {
  compile(names);
  const building: Promise<BuiltImage>[] = [];
  for (const name of names) {
    await stage(name);
    const built = buildImage({ name, onProgress });
    // One is built while the next is staged; what failed is told when all are asked for.
    built.catch(() => undefined);
    building.push(built);
  }
  return Promise.all(building);
}

function compile(names: readonly string[]): void {
  const folders = names.map((name) => (images[name] ?? variants[name])?.folder ?? '.');
  const { status } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-b', ...folders], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error('the sources do not compile: see the lines above');
}

if (import.meta.main) {
  const { positionals } = parseArgs({ allowPositionals: true });
  const [verb, ...names] = positionals;
  if (verb === 'stage' && names.length > 0) {
    compile(names);
    for (const name of names) await stage(name);
  } else if (verb === 'build') {
    const built = await buildImages(names.length > 0 ? names : Object.keys(images), console.log);
    for (const { reference, archive } of built) console.log(`${reference}  ${archive}`);
  } else {
    const usage = 'usage: node e2e/images.ts build [NAME…] | stage NAME…';
    console.error(
      `${usage}; names: ${Object.keys(images).join(', ')}; to stage also ${Object.keys(variants).join(', ')}`,
    );
    process.exit(2);
  }
}
