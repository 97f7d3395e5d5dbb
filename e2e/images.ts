// Builds the images of the controller and the engines: compiled sources and production packages over one base.
//   node e2e/images.ts build [NAME…]
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type BuiltImage, buildImage } from './cluster/images.ts';

const root = resolve(import.meta.dirname, '..');

/** Image names and the workspace and file each starts. */
export const images: Record<string, { workspace: string; folder: string; entry: string }> = {
  controller: { workspace: '@quintet/controller', folder: 'controller', entry: 'main.js' },
  compression: { workspace: '@quintet/compression', folder: 'workloads/compression', entry: 'service/main.js' },
  field: { workspace: '@quintet/field', folder: 'workloads/field', entry: 'main.js' },
};

/** Stages `build/images/NAME`: what the Containerfile copies to /app. */
export function stage(name: string): string {
  const image = images[name];
  if (!image) throw new Error(`no image is called ${name}; there are: ${Object.keys(images).join(', ')}`);
  const target = join(root, 'build/images', name);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const path of productionPackages(image.workspace)) {
    const real = realpathSync(path);
    if (real === path) copy(path, join(target, relative(root, path)), true);
    else copyWorkspace(real, join(target, 'node_modules'));
  }
  writeFileSync(join(target, 'package.json'), '{"type":"module"}\n');
  writeFileSync(join(target, 'main.js'), `import './node_modules/${image.workspace}/dist/${image.entry}';\n`);
  return target;
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
  return [...new Set(paths)];
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

const useless = /(\.d\.[cm]?ts|\.map|\.tsbuildinfo|\.md|\.test\.js)$/i;

function copy(from: string, to: string, nestedModulesApart: boolean): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, {
    recursive: true,
    dereference: true,
    filter: (source) => {
      const inside = relative(from, source);
      if (nestedModulesApart && inside.split('/')[0] === 'node_modules') return false;
      return !useless.test(inside) && !/(^|\/)(test|tests|docs|example|examples|benchmark|benchmarks)$/.test(inside);
    },
  });
}

/** Compiles, stages and builds; the archives are ready to be loaded into a cluster. */
export async function buildImages(names: readonly string[], onProgress: (line: string) => void): Promise<BuiltImage[]> {
  compile(names);
  const built: BuiltImage[] = [];
  for (const name of names) {
    stage(name);
    built.push(await buildImage({ name, onProgress }));
  }
  return built;
}

function compile(names: readonly string[]): void {
  const folders = names.map((name) => images[name]?.folder ?? '.');
  const { status } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-b', ...folders], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error('the sources do not compile: see the lines above');
}

if (import.meta.main) {
  const { positionals } = parseArgs({ allowPositionals: true });
  const [verb, ...names] = positionals;
  if (verb !== 'build') {
    console.error(`usage: node e2e/images.ts build [NAME…]; names: ${Object.keys(images).join(', ')}`);
    process.exit(2);
  }
  const built = await buildImages(names.length > 0 ? names : Object.keys(images), console.log);
  for (const { reference, archive } of built) console.log(`${reference}  ${archive}`);
}
