// How much memory the steps of a job take, before they take it.

import { fieldsOf } from '../compute/chunk.ts';
import { mostLayerBytes } from '../compute/pool.ts';
import { arrayOf, type StoredQuantity } from '../compute/quantities.ts';
import type { Lattice } from '../interpolation/design.ts';
import { Interpolator } from '../interpolation/interpolator.ts';
import { pointsOfElement } from '../physics/sources.ts';
import { rowsOf } from '../solver/targets.ts';
import { spectrumBytes } from '../spectrum/design.ts';
import { chunkCount } from '../volume/layout.ts';
import { chunkBytes } from '../zarr/array.ts';
import type { Problem } from './problem.ts';

// Measured on Node 24: the process with its code, and a thread with its heap and kernel.
const baseBytes = 96 * 2 ** 20;
const threadBytes = 18 * 2 ** 20;
/** The thread that speaks S3, with its library. */
export const speakerBytes: number = 56 * 2 ** 20;
/** Of each source: tables in the process, and in each thread's kernel. */
const sourceBytes = 64;
const kernelSourceBytes = 88;

/** Largest resident memory of any step, bytes. Within a fifth of what is measured. */
export function estimateMemory(
  { emitters, targets, volume }: Problem,
  quantities: readonly StoredQuantity[],
  threads: number,
  lattice?: Lattice,
): number {
  const { count } = emitters.elements;
  const sources = count * pointsOfElement(emitters);
  const rows = targets.reduce((sum, target) => sum + rowsOf(target), 0);
  const solving = rows * count * 16 + count * 112 + sources * 80;
  const chunk = quantities.reduce((sum, quantity) => sum + chunkBytes(arrayOf(quantity, volume)), 0);
  const layer = lattice ? Interpolator.layerFloats(volume, lattice, fieldsOf({ quantities })) * 4 : 0;
  const held = lattice ? (lattice.taps[0] + 2) * layer : 0;
  const spectrum = lattice?.planes ? spectrumBytes(lattice, lattice.planes) : 0;
  const perThread = threadBytes + 1.2 * chunk + held + sources * kernelSourceBytes + spectrum;
  const layers = lattice ? Math.min(mostLayerBytes, lattice.shape[0] * layer) : 0;
  const computing = Math.min(threads, chunkCount(volume)) * perThread + layers + sources * sourceBytes;
  return Math.ceil(baseBytes + Math.max(solving, computing));
}
