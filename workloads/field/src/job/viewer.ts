// `viewer.html`: the pressure thinned out to a page that needs nothing but a browser, with planes to slide through,
// amplitude or phase, the targets, and the phase of every element.
import { readInto, writeWhole } from '../compute/files.ts';
import { arrayOf } from '../compute/quantities.ts';
import { FieldError } from '../errors.ts';
import { inferno } from '../picture/colormap.ts';
import { chunkBlock, chunkCount, chunkIndexes } from '../volume/layout.ts';
import { chunkBytes, chunkPath } from '../zarr/array.ts';
import type { SolutionFile } from './output.ts';
import type { Problem } from './problem.ts';
import { formatPressure } from './units.ts';
import { viewerPage } from './viewerpage.ts';

export const viewerPath = 'viewer.html';

/** Points that are kept along an axis; of longer ones every second, third … */
const longestAxis = 101;

/** What the page is given; points run along z, y, x, x fastest. */
export interface ViewerData {
  readonly name: string;
  /** Points along z, y, x. */
  readonly shape: readonly number[];
  /** Metres, as z, y, x. */
  readonly first: readonly number[];
  readonly step: number;
  /** Pa, and in words. */
  readonly largest: number;
  readonly largestText: string;
  /** A byte a point, base64: amplitude over the largest, and phase from -π to π. */
  readonly amplitude: string;
  readonly phase: string;
  readonly targets: readonly { readonly name: string; readonly position: readonly number[] }[];
  /** x, y, z and phase of each element. */
  readonly elements: readonly (readonly [number, number, number, number])[];
  /** 256 colours, base64. */
  readonly colors: string;
}

/** @param largest Pa, of the whole volume. @throws FieldError when the stored pressure cannot be read. */
export function writeViewer(problem: Problem, solution: SolutionFile, folder: string, largest: number): void {
  const { name, volume, emitters, targets } = problem;
  const skip = Math.ceil(Math.max(...volume.shape) / longestAxis);
  const shape = volume.shape.map((n) => Math.floor((n - 1) / skip) + 1) as [number, number, number];
  const amplitude = new Uint8Array(shape[0] * shape[1] * shape[2]);
  const phase = new Uint8Array(amplitude.length);
  const buffer = new Uint8Array(chunkBytes(arrayOf('Pressure', volume)));
  const floats = new Float32Array(buffer.buffer, 0, (buffer.length - 4) / 4);
  for (let chunk = 0; chunk < chunkCount(volume); chunk++) {
    const path = chunkPath('pressure', chunkIndexes(volume, chunk));
    if (!readInto(folder, path, buffer)) throw new FieldError('OutputDamaged', `${path} is not whole`, 'spec.output');
    const { start, shape: size } = chunkBlock(volume, chunk);
    for (let z = nextKept(start[0], skip); z < start[0] + size[0]; z += skip) {
      for (let y = nextKept(start[1], skip); y < start[1] + size[1]; y += skip) {
        for (let x = nextKept(start[2], skip); x < start[2] + size[2]; x += skip) {
          const from = 2 * (((z - start[0]) * volume.chunk[1] + y - start[1]) * volume.chunk[2] + x - start[2]);
          const to = ((z / skip) * shape[1] + y / skip) * shape[2] + x / skip;
          const [re, im] = [floats[from]!, floats[from + 1]!];
          amplitude[to] = largest > 0 ? Math.min(255, Math.round((255 * Math.hypot(re, im)) / largest)) : 0;
          phase[to] = Math.round((Math.atan2(im, re) / (2 * Math.PI) + 0.5) * 255);
        }
      }
    }
  }
  const data: ViewerData = {
    name,
    shape,
    first: volume.first,
    step: volume.spacing * skip,
    largest,
    largestText: formatPressure(largest),
    amplitude: base64(amplitude),
    phase: base64(phase),
    targets: targets.map((target) => ({ name: target.name, position: target.position })),
    elements: solution.phases.map((value, t) => [
      emitters.elements.positions[3 * t]!,
      emitters.elements.positions[3 * t + 1]!,
      emitters.elements.positions[3 * t + 2]!,
      value,
    ]),
    colors: base64(
      Uint8Array.from({ length: 256 }, (_, i) => i).reduce((bytes, i) => {
        bytes.set(inferno(i / 255), 3 * i);
        return bytes;
      }, new Uint8Array(768)),
    ),
  };
  writeWhole(folder, viewerPath, viewerPage(data));
}

const nextKept = (from: number, skip: number): number => Math.ceil(from / skip) * skip;
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
