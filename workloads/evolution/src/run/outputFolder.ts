// A folder of results: made whole where there is none, and replaced file by file where earlier results stand.
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { EvolutionError, messageOf } from '../errors.ts';

const digests = 'SHA256SUMS';
/** By these two a folder is known to hold results, and may hold new ones. */
const marks = [digests, 'model.quintet'];
const own = [...marks, 'model.onnx', 'schema.json', 'metrics.json', 'report.html'];
/** Start of the name of a folder that is being written; one that was killed leaves it. */
const unfinished = '.quintet-';

/**
 * What else the folder holds stays. The digests are replaced last: as long as they do not fit, the rest is not whole.
 * @throws EvolutionError OutputUnwritable; InvalidResource where something else stands
 */
export async function fillFolder(folder: string, files: ReadonlyMap<string, string | Uint8Array>): Promise<void> {
  const path = resolve(folder);
  const exists = await checkOutput(folder);
  try {
    if (!exists) await makeFolder(dirname(path));
    const start = exists ? join(path, unfinished) : join(dirname(path), `${unfinished}${markOf(basename(path))}-`);
    const fresh = `${start}${randomUUID()}`;
    try {
      // Not mkdtemp, whose folders nobody else may read.
      await mkdir(fresh);
      await sweep(start, fresh);
      for (const [name, content] of files) await writeFile(join(fresh, name), content);
      if (exists) await moveInto(path, fresh, [...files.keys()]);
      else await rename(fresh, path);
    } finally {
      // Nothing half-written stays on the volume.
      await rm(fresh, { recursive: true, force: true }).catch(() => undefined);
    }
  } catch (cause) {
    throw unwritable(folder, cause);
  }
}

/**
 * Whether the folder exists; results never take the place of what somebody else keeps there.
 * @throws EvolutionError InvalidResource where the path is a file, or a folder of other things
 */
export async function checkOutput(folder: string): Promise<boolean> {
  const refused = (message: string) =>
    new EvolutionError('InvalidResource', `${folder} ${message}`, {
      field: 'spec.output',
      fix: 'choose a folder that is new, empty, or of earlier results',
    });
  try {
    if (folder === '') throw refused('is no name of a folder');
    if (!(await stat(folder)).isDirectory()) throw refused('is a file, which stays as it is');
    const all = await readdir(folder);
    const names = all.filter((name) => !name.startsWith(unfinished));
    // Whoever fills an empty folder and is killed leaves some files, and those that were to come.
    const isPart = names.length < all.length && names.every((name) => own.includes(name));
    const [first] = names.toSorted();
    if (first !== undefined && !isPart && !marks.every((mark) => names.includes(mark)))
      throw refused(`holds other files, such as ${first}, which stay as they are`);
    return true;
  } catch (error) {
    if (error instanceof EvolutionError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw unwritable(folder, error);
  }
}

/** Of a name, which may be as long as names may be. */
function markOf(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 16);
}

/** What was left by others that were killed while they wrote the same folder. */
async function sweep(start: string, fresh: string): Promise<void> {
  for (const name of await readdir(dirname(fresh))) {
    const path = join(dirname(fresh), name);
    if (path.startsWith(start) && path.length === fresh.length && path !== fresh)
      await rm(path, { recursive: true, force: true });
  }
}

async function moveInto(folder: string, fresh: string, names: readonly string[]): Promise<void> {
  const before = await readFile(join(folder, digests), 'utf8').then(
    (text) => text.split('\n').map((line) => line.slice(66)),
    () => own,
  );
  for (const name of [...names.filter((each) => each !== digests), digests])
    await rename(join(fresh, name), join(folder, name));
  // Such as a model for other runtimes, when the new one has no form there.
  for (const name of before)
    if (/^\w+\.\w+$/.test(name) && !names.includes(name)) await rm(join(folder, name), { force: true });
}

/** Not Node's own recursive mkdir: it runs for ever where an existing folder answers ENOENT, as those of /proc do. */
async function makeFolder(path: string): Promise<void> {
  const missing: string[] = [];
  for (let folder = path; !(await present(folder)); folder = dirname(folder)) missing.unshift(folder);
  for (const folder of missing)
    await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
      // Somebody else may have made it meanwhile.
      if (error.code !== 'EEXIST') throw error;
    });
}

function present(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}

function unwritable(folder: string, cause: unknown): EvolutionError {
  return new EvolutionError(
    'OutputUnwritable',
    `${folder} cannot be written: ${messageOf(cause)}`,
    { field: 'spec.output' },
    cause,
  );
}
