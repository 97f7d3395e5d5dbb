// Where the elements of an array are and which way they face. Metres, one right-handed frame.
import { FieldError } from '../errors.ts';

/** `count` elements; positions and unit normals as x, y, z after one another. */
export interface Elements {
  readonly count: number;
  readonly positions: Float64Array;
  readonly normals: Float64Array;
}

/** More than this is refused: a solve keeps a complex number per element and target. */
export const mostElements = 131_072;

/** Metres to which places are told apart. */
const samePlace = 1e-9;

export interface GridShape {
  rows: number;
  columns: number;
  pitch: number;
}

/** In the plane z = 0, centred on the z axis, facing +z. Columns along x vary fastest, rows along y. */
export function grid({ rows, columns, pitch }: GridShape): Elements {
  const placed: number[][] = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      placed.push([(column - (columns - 1) / 2) * pitch, (row - (rows - 1) / 2) * pitch, 0, 0, 0, 1]);
    }
  }
  return elementsOf(placed);
}

/** A grid at z = 0 facing +z, then the same at z = separation facing -z. */
export function twoSided(shape: GridShape & { separation: number }): Elements {
  const below = grid(shape);
  const placed: number[][] = [];
  for (const side of [0, 1]) {
    for (let i = 0; i < below.count; i++) {
      const [x = 0, y = 0] = below.positions.subarray(3 * i);
      placed.push([x, y, side * shape.separation, 0, 0, side === 0 ? 1 : -1]);
    }
  }
  return elementsOf(placed);
}

/**
 * A bowl that opens upwards with its lowest point at the origin: elements on a Fibonacci spiral, which gives each the
 * same area, facing the centre (0, 0, radius).
 * @param aperture full angle of the cap seen from the centre, radians.
 */
export function hemisphere(radius: number, elements: number, aperture: number): Elements {
  const golden = Math.PI * (3 - Math.sqrt(5));
  const height = 1 - Math.cos(aperture / 2);
  const placed = Array.from({ length: elements }, (_, i) => {
    const down = 1 - (height * (i + 0.5)) / elements;
    const across = Math.sqrt(Math.max(0, 1 - down * down));
    const direction = [across * Math.cos(i * golden), across * Math.sin(i * golden), -down];
    const [x = 0, y = 0, z = 0] = direction;
    return [radius * x, radius * y, radius * (1 + z), -x, -y, -z];
  });
  return elementsOf(placed);
}

/**
 * Elements as listed, each `[x, y, z]` or `[x, y, z, nx, ny, nz]`.
 * @throws FieldError `InvalidArray` naming the row that is not finite or has no direction.
 */
export function customElements(rows: readonly (readonly number[])[], field: string): Elements {
  if (rows.length === 0) throw new FieldError('InvalidArray', 'the list of elements is empty', field);
  return elementsOf(
    rows.map((row, index) => {
      const [x = Number.NaN, y = Number.NaN, z = Number.NaN, nx = 0, ny = 0, nz = 1] = row;
      const length = Math.hypot(nx, ny, nz);
      if (![x, y, z].every(Number.isFinite) || !(length > 0) || !Number.isFinite(length)) {
        throw new FieldError(
          'InvalidArray',
          `element ${index}: needs finite x, y, z and a direction that is not zero`,
          field,
        );
      }
      return [x, y, z, nx / length, ny / length, nz / length];
    }),
    field,
  );
}

/** @param field Where they were said. */
function elementsOf(placed: readonly (readonly number[])[], field = 'spec.array'): Elements {
  if (placed.length > mostElements) {
    throw new FieldError('InvalidArray', `${placed.length} elements; at most ${mostElements} are supported`, field);
  }
  const places = new Map<string, number>();
  const positions = new Float64Array(placed.length * 3);
  const normals = new Float64Array(placed.length * 3);
  placed.forEach((element, i) => {
    const place = element.slice(0, 3);
    const key = place.map((value) => Math.round(value / samePlace)).join();
    const other = places.get(key);
    if (other !== undefined) throw new FieldError('InvalidArray', `element ${i} is where element ${other} is`, field);
    places.set(key, i);
    positions.set(place, 3 * i);
    normals.set(element.slice(3), 3 * i);
  });
  return { count: placed.length, positions, normals };
}
