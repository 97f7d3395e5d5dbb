// The files of a result before any chunk is computed: metadata, coordinates and the plan, with what was there cleared away.
import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import { isBucket } from '../compute/bucket.ts';
import { writeWhole } from '../compute/files.ts';
import { arrayOf, formats } from '../compute/quantities.ts';
import { FieldError, outputError } from '../errors.ts';
import type { Volume } from '../volume/layout.ts';
import {
  type ArrayDescription,
  arrayMetadata,
  chunkBytes,
  chunkPath,
  dataTypes,
  groupMetadata,
  seal,
} from '../zarr/array.ts';
import { boardFiles } from './boards.ts';
import { motionPath } from './frames.ts';
import { entries, type PlanFile, planPath, readJson, remove, solutionPath, summaryPath, toJson } from './output.ts';
import type { Problem } from './problem.ts';
import { sweepStaging } from './shard.ts';
import { sensorsArray } from './simulate.ts';
import { formatBytes } from './units.ts';
import { viewerPath } from './viewer.ts';

/** A result of the same digest and code stays, one of another is cleared away. @throws FieldError */
export function layOutFiles(problem: Problem, folder: string, planFile: PlanFile, solutionText: string): void {
  const known = readJson<PlanFile>(folder, planPath);
  const same = known?.digest === planFile.digest && known.code === planFile.code;
  claim(folder);
  sweepStaging(folder);
  if (!same) clear(folder);
  // No pod computes now, and markers are of shards as the volume was cut.
  forget(folder, known?.shards === planFile.shards ? /^begun-/ : /^(?:begun|shard)-/);
  // A summary says that a result is whole; until the last step says so again, there is none.
  remove(folder, summaryPath);
  if (!same && !isBucket(folder)) checkSpace(folder, planFile.bytes);
  writeWhole(folder, solutionPath, solutionText);
  writeWhole(
    folder,
    'zarr.json',
    groupMetadata({
      name: problem.name,
      frequency: problem.frequency,
      wavelength: problem.wavelength,
      digest: planFile.digest,
    }),
  );
  for (const quantity of planFile.quantities) {
    writeWhole(folder, join(formats[quantity].array, 'zarr.json'), arrayMetadata(arrayOf(quantity, problem.volume)));
  }
  (['z', 'y', 'x'] as const).forEach((name, axis) => writeCoordinates(folder, problem.volume, name, axis as 0 | 1 | 2));
  if (planFile.quantities.some((quantity) => formats[quantity].components === 3)) writeComponents(folder);
  writeWhole(folder, planPath, toJson(planFile));
}

const ownershipPath = '.quintet/owner';

/** Marks the folder as one whose results may be cleared away. @throws FieldError when others' files lie where ours go. */
function claim(folder: string): void {
  const names = entries(folder);
  const ours = [...Object.values(formats).map(({ array }) => array), summaryPath, solutionPath, 'zarr.json'];
  const foreign = names.includes('.quintet') ? [] : names.filter((name) => ours.includes(name));
  if (foreign.length > 0) {
    throw new FieldError(
      'OutputUnwritable',
      `${folder} holds ${foreign.join(', ')} that no FieldJob wrote: choose another folder`,
      'spec.output',
    );
  }
  writeWhole(folder, ownershipPath, 'FieldJob\n');
}

/** Takes away what an earlier plan made, its plan first: without one, nothing is taken for a result. */
function clear(folder: string): void {
  remove(folder, planPath);
  remove(folder, summaryPath);
  forget(folder, /^(?:shard-|simulation\.)/);
  for (const array of [...Object.values(formats).map((format) => format.array), sensorsArray, 'time'])
    remove(folder, array);
  for (const name of entries(folder)) {
    if (/^slice-.*\.png$/.test(name) || [...Object.values(boardFiles), motionPath, viewerPath].includes(name))
      remove(folder, name);
  }
}

/** What the steps have noted for one another. */
function forget(folder: string, names: RegExp): void {
  for (const name of entries(folder, '.quintet')) {
    if (names.test(name)) remove(folder, join('.quintet', name));
  }
}

function checkSpace(folder: string, bytes: number): void {
  let free: number;
  try {
    const { bavail, bsize } = statfsSync(folder);
    free = bavail * bsize;
  } catch (error) {
    throw outputError(error, folder);
  }
  if (free < bytes) {
    throw new FieldError(
      'OutputFull',
      `the result takes ${formatBytes(bytes)}, ${formatBytes(free)} are free: free some, grow the volume claim, or coarsen spec.volume`,
      'spec.output',
    );
  }
}

function writeCoordinates(folder: string, volume: Volume, name: string, axis: 0 | 1 | 2): void {
  const length = volume.shape[axis];
  const values = Float64Array.from({ length }, (_, i) => volume.first[axis] + i * volume.spacing);
  const array: ArrayDescription = {
    name,
    dataType: 'float64',
    shape: [length],
    chunk: [length],
    dimensionNames: [name],
    attributes: { units: 'm' },
  };
  const bytes = new Uint8Array(chunkBytes(array));
  bytes.set(new Uint8Array(values.buffer));
  seal(bytes);
  writeWhole(folder, chunkPath(name, [0]), bytes);
  writeWhole(folder, join(name, 'zarr.json'), arrayMetadata(array));
}

/** 0, 1, 2 for x, y, z. */
function writeComponents(folder: string): void {
  const array: ArrayDescription = {
    name: 'component',
    dataType: 'float64',
    shape: [3],
    chunk: [3],
    dimensionNames: ['component'],
    attributes: { description: '0, 1, 2 are x, y, z' },
  };
  const bytes = new Uint8Array(3 * dataTypes.float64 + 4);
  bytes.set(new Uint8Array(Float64Array.of(0, 1, 2).buffer));
  seal(bytes);
  writeWhole(folder, chunkPath('component', [0]), bytes);
  writeWhole(folder, 'component/zarr.json', arrayMetadata(array));
}
