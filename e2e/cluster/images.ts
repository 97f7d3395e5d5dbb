// Images of this repository: built from its one Containerfile by docker where an engine answers, else by buildah, on a
// base made of this machine's shared libraries and the Node that npm brought. An archive is named by what it was made
// of, so nothing unchanged is built again.
import { createHash, type Hash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { run, tryRun } from './command.ts';
import { ensurePrograms } from './debian.ts';
import { hasDockerEngine } from './docker.ts';
import { withLock } from './lock.ts';
import { cacheDir } from './paths.ts';
import { sharedLibraries } from './shared-libraries.ts';
import type { OnProgress } from './tools.ts';

const REPOSITORY = join(import.meta.dirname, '..', '..');
/** Archives of an image that are kept beside the one being built. */
const keptArchives = 2;
/** Of glibc, what it opens by name when it resolves host names, and what native modules such as onnxruntime's still ask for. */
const GLIBC_LIBRARIES = ['libnss_files.so.2', 'libnss_dns.so.2', 'libresolv.so.2', 'librt.so.1'];

export interface BuiltImage {
  /** Name and tag under which it is loaded. */
  reference: string;
  /** Path of the archive, named by its content. */
  archive: string;
}

export interface ImageOptions {
  /** Value of the build argument NAME: the folder `build/images/NAME` of the context. */
  name: string;
  /** Folder that the Containerfile copies from. Default: the repository. */
  contextDir?: string;
  containerfile?: string;
  /** Value of the build argument BASE. Default: the image that `makeBaseImage` makes. */
  base?: BuiltImage;
  /** Default: localhost/quintet/NAME:dev */
  reference?: string;
  onProgress?: OnProgress;
}

/** An image with Node at /usr/local/bin/node, certificate authorities and a user 65532, and nothing else. */
export function makeBaseImage(onProgress?: OnProgress): Promise<BuiltImage> {
  const node = nodeBinary();
  const libraries = [...sharedLibraries(node), ...glibcLibraries(node)];
  // By content: each checkout has a Node of its own, and all of them the same image.
  const inputs = [`node ${digestOf(node)}`, ...libraries.map((path) => `${path} ${digestOf(path)}`)];
  const fill = (root: string) => {
    copyInto(root, node, '/usr/local/bin/node');
    for (const library of libraries) copyInto(root, library, library);
  };
  return makeRootImage({ name: 'base', inputs, fill, ...(onProgress ? { onProgress } : {}) });
}

export interface RootImageOptions {
  name: string;
  /** All that the image is made of, in words: it is built again when one changes. */
  inputs: string[];
  /** Puts the files in place under `root`. */
  fill: (root: string) => void | Promise<void>;
  /** Further lines of the Containerfile. */
  instructions?: string[];
  /** Default: a name with a tag of the inputs' own. */
  reference?: string;
  onProgress?: OnProgress;
}

/** Builds an image out of files of this machine, on no other image. */
export async function makeRootImage(options: RootImageOptions): Promise<BuiltImage> {
  const { name, inputs, fill, instructions = [], onProgress = () => undefined } = options;
  const hash = createHash('sha256').update(readFileSync(import.meta.filename));
  hash.update(JSON.stringify([inputs, instructions, options.reference]));
  const tag = hash.digest('hex').slice(0, 16);
  const reference = options.reference ?? `localhost/quintet/${name}:${tag}`;
  const image = { reference, archive: archivePath(name, tag) };
  return withLock(`images ${cacheDir()}`, async () => {
    if (existsSync(image.archive)) return image;
    onProgress(`building image ${name} …`);
    const begin = Date.now();
    mkdirSync(join(cacheDir(), 'images'), { recursive: true });
    removeOlder(name);
    const root = join(cacheDir(), 'images', `${name}.root`);
    const containerfile = join(cacheDir(), 'images', `${name}.Containerfile`);
    rmSync(root, { recursive: true, force: true });
    writeSystemFiles(root);
    await fill(root);
    writeFileSync(containerfile, ['FROM scratch', 'COPY . /', ...instructions, ''].join('\n'));
    await build(image, containerfile, root, {});
    rmSync(root, { recursive: true, force: true });
    onProgress(`image ${name} built in ${Math.round((Date.now() - begin) / 1000)} s`);
    return image;
  });
}

/** Builds one of the repository's images from its staged folder. */
export async function buildImage(options: ImageOptions): Promise<BuiltImage> {
  const { name, contextDir = REPOSITORY, onProgress = () => undefined } = options;
  const { containerfile = join(REPOSITORY, 'Containerfile'), reference = `localhost/quintet/${name}:dev` } = options;
  const staged = join(contextDir, 'build', 'images', name);
  if (!existsSync(staged)) throw new Error(`nothing is staged for image ${name}: ${staged} is missing (make images)`);
  const base = options.base ?? (await makeBaseImage(onProgress));
  const hash = createHash('sha256').update(reference).update(base.reference).update(readFileSync(containerfile));
  hashFolder(hash, staged);
  const image = { reference, archive: archivePath(name, hash.digest('hex').slice(0, 16)) };
  return withLock(`images ${cacheDir()}`, async () => {
    if (existsSync(image.archive)) return image;
    onProgress(`building image ${name} …`);
    const begin = Date.now();
    await ensureBaseIsKnown(base);
    removeOlder(name);
    await build(image, containerfile, contextDir, { BASE: base.reference, NAME: name });
    onProgress(`image ${name} built in ${Math.round((Date.now() - begin) / 1000)} s`);
    return image;
  });
}

async function build(image: BuiltImage, containerfile: string, context: string, args: Record<string, string>) {
  const settings = Object.entries(args).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]);
  const target = ['--file', containerfile, '--tag', image.reference, ...settings, context];
  const temporary = `${image.archive}.tmp`;
  rmSync(temporary, { force: true });
  mkdirSync(dirname(image.archive), { recursive: true });
  if (await hasDockerEngine()) {
    await run('docker', ['build', '--quiet', ...target], { timeoutMs: 600_000 });
    await run('docker', ['save', '--output', temporary, image.reference], { timeoutMs: 300_000 });
  } else {
    await ensurePrograms(['buildah']);
    await buildah(['build', '--quiet', '--pull-never', '--timestamp', '0', ...target]);
    await buildah(['push', '--quiet', image.reference, `docker-archive:${temporary}:${image.reference}`]);
    // Its store keeps each image whole: what is in an archive would fill the disk a second time, and with each build.
    await buildah(['rmi', '--force', image.reference]);
  }
  renameSync(temporary, image.archive);
}

/** The archive outlives the build tool's own store: load it there again where that was emptied. */
async function ensureBaseIsKnown(base: BuiltImage): Promise<void> {
  if (await hasDockerEngine()) {
    const known = await tryRun('docker', ['image', 'inspect', base.reference]);
    if (known === undefined) await run('docker', ['load', '--input', base.archive], { timeoutMs: 300_000 });
    return;
  }
  await ensurePrograms(['buildah']);
  const known = await buildah(['inspect', '--type', 'image', base.reference]).catch(() => undefined);
  if (known === undefined) await buildah(['pull', '--quiet', `docker-archive:${base.archive}`]);
}

function buildah(args: string[]): Promise<string> {
  const storage = join(cacheDir(), 'images', 'storage');
  const policy = join(cacheDir(), 'images', 'policy.json');
  mkdirSync(storage, { recursive: true });
  writeFileSync(policy, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }));
  const folders = ['--root', join(storage, 'root'), '--runroot', join(storage, 'run'), '--storage-driver', 'vfs'];
  const takesPolicy = ['build', 'push', 'pull'].includes(args[0] ?? '');
  const [verb = '', ...rest] = args;
  return run('buildah', [...folders, verb, ...(takesPolicy ? ['--signature-policy', policy] : []), ...rest], {
    env: { ...process.env, BUILDAH_ISOLATION: 'chroot', STORAGE_DRIVER: 'vfs' },
    timeoutMs: 600_000,
  });
}

/** Users, name resolution, certificate authorities and a folder for temporary files. */
function writeSystemFiles(root: string): void {
  const files = {
    'etc/passwd': 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n',
    'etc/group': 'root:x:0:\nnonroot:x:65532:\n',
    'etc/nsswitch.conf': 'hosts: files dns\n',
  };
  for (const folder of ['etc', 'home/nonroot', 'tmp']) mkdirSync(join(root, folder), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777);
  for (const [path, text] of Object.entries(files)) writeFileSync(join(root, path), text);
  const authorities = '/etc/ssl/certs/ca-certificates.crt';
  if (existsSync(authorities)) copyInto(root, authorities, authorities);
}

/** Node as npm installed it for this repository, so that images run the version that the tests ran. */
function nodeBinary(): string {
  const own = join(REPOSITORY, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
  return existsSync(own) ? own : process.execPath;
}

function glibcLibraries(program: string): string[] {
  const libc = sharedLibraries(program).find((library) => library.endsWith('/libc.so.6'));
  const folder = libc ? dirname(libc) : '/lib';
  return GLIBC_LIBRARIES.map((name) => join(folder, name)).filter((path) => existsSync(path));
}

function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** Copies what a link points to, under the path of the link. */
export function copyInto(root: string, from: string, to: string): void {
  const target = join(root, to);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(from, target);
}

function hashFolder(hash: Hash, folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    hash.update(`${entry.name}\0${entry.isDirectory() ? 'd' : statSync(path).mode}\0`);
    if (entry.isDirectory()) hashFolder(hash, path);
    else hash.update(readFileSync(path));
  }
}

function archivePath(name: string, tag: string): string {
  return join(cacheDir(), 'images', `${name}-${tag}.tar`);
}

/** Other checkouts on this machine build the same names: the newest few stay, which one of them may be about to load. */
function removeOlder(name: string): void {
  const folder = join(cacheDir(), 'images');
  const archive = new RegExp(`^${name}-[0-9a-f]{16}\\.tar$`);
  const files = readdirSync(folder)
    .filter((entry) => archive.test(entry))
    .map((entry) => ({ path: join(folder, entry), time: statSync(join(folder, entry)).mtimeMs }));
  for (const { path } of files.toSorted((a, b) => b.time - a.time).slice(keptArchives)) rmSync(path, { force: true });
}
