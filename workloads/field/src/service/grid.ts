// From the query of a slice to its grid of points.
import { parseLength } from '@quintet/crds';
import { QuintetError } from '@quintet/runtime';
import { normalOf, type Scene } from '../job/scene.ts';
import type { Target } from '../solver/targets.ts';
import type { Volume } from '../volume/layout.ts';
import { type PlaneGrid, planeAxes } from './evaluate.ts';
import type { SliceRequest } from './schema.ts';

type Marked = readonly Pick<Target, 'name' | 'position'>[];

const mostEdge = 2048;

/** @throws QuintetError `UNPROCESSABLE` naming the member of the query. */
export function gridOf(
  request: SliceRequest,
  { wavelength, targets }: Scene,
  volume: Volume | undefined,
  solved: Marked,
): PlaneGrid {
  const axis = normalOf(request.plane);
  const [across, up] = planeAxes(axis);
  const length = (field: 'width' | 'height' | 'spacing', otherwise: number): number => {
    const value = request[field] === undefined ? otherwise : lengthOf(request[field], field);
    if (value > 0) return value;
    throw new QuintetError('UNPROCESSABLE', { field, reason: 'must be a positive length' });
  };
  const edge = (of: 0 | 1 | 2): number =>
    (volume ? (volume.shape[2 - of]! - 1) * volume.spacing : 0) || 10 * wavelength;
  const spacing = length('spacing', wavelength / 8);
  const counts = { width: length('width', edge(across)) / spacing, height: length('height', edge(up)) / spacing };
  for (const field of ['width', 'height'] as const) {
    if (counts[field] < mostEdge) continue;
    throw new QuintetError('UNPROCESSABLE', {
      field,
      reason: `at most ${mostEdge} points along an edge; raise spacing`,
    });
  }
  return {
    axis,
    center: centerOf(request.center, volume, solved.length > 0 ? solved : targets),
    columns: Math.floor(counts.width + 1e-6) + 1,
    rows: Math.floor(counts.height + 1e-6) + 1,
    spacing,
  };
}

function centerOf(given: string | undefined, volume: Volume | undefined, targets: Marked): [number, number, number] {
  if (given !== undefined) {
    const parts = given.split(',').map((part) => lengthOf(part.trim(), 'center'));
    if (parts.length === 3) return parts as [number, number, number];
    throw new QuintetError('UNPROCESSABLE', { field: 'center', reason: 'must be three lengths: x,y,z' });
  }
  if (volume)
    return [2, 1, 0].map((i) => volume.first[i]! + ((volume.shape[i]! - 1) / 2) * volume.spacing) as [
      number,
      number,
      number,
    ];
  return [0, 1, 2].map((i) => targets.reduce((sum, { position }) => sum + position[i]! / targets.length, 0)) as [
    number,
    number,
    number,
  ];
}

function lengthOf(text: string, field: string): number {
  try {
    const value = parseLength(text);
    if (Math.abs(value) <= 1000) return value;
    throw new Error(`${text} is farther than 1000 m`);
  } catch (error) {
    throw new QuintetError('UNPROCESSABLE', { field, reason: (error as Error).message });
  }
}
