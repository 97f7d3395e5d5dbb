// The largest pressures among stored points, anywhere and in each zone: from the bytes themselves, so that a chunk that
// was found and one that was computed say the same.
import { type Block, coordinate, type Volume } from '../volume/layout.ts';

export interface ZoneSphere {
  readonly name: string;
  readonly center: readonly [number, number, number];
  readonly radius: number;
}

export interface FieldMaxima {
  /** Pa; 0 when there is no point. */
  anywhere: number;
  /** x, y, z of the largest, metres. */
  at: [number, number, number];
  zones: Record<string, number>;
}

export function noMaxima(zones: readonly ZoneSphere[]): FieldMaxima {
  return { anywhere: 0, at: [0, 0, 0], zones: Object.fromEntries(zones.map(({ name }) => [name, 0])) };
}

/** Of equal maxima the first stays. */
export function mergeMaxima(into: FieldMaxima, other: FieldMaxima): void {
  if (other.anywhere > into.anywhere) {
    into.anywhere = other.anywhere;
    into.at = other.at;
  }
  for (const [name, value] of Object.entries(other.zones)) into.zones[name] = Math.max(into.zones[name] ?? 0, value);
}

/** @param pressure the chunk's complex numbers, rows of `volume.chunk` points. */
export function maximaOf(
  pressure: Float32Array,
  volume: Volume,
  block: Block,
  zones: readonly ZoneSphere[],
): FieldMaxima {
  const found = noMaxima(zones);
  const squares = new Map<string, number>();
  let most = -1;
  let mostAt: [number, number, number] = [0, 0, 0];
  forRows(volume, block, (iz, iy, offset) => {
    let foundAt = -1;
    for (let i = offset; i < offset + 2 * block.shape[2]; i += 2) {
      const re = pressure[i]!;
      const im = pressure[i + 1]!;
      const square = re * re + im * im;
      if (square > most) {
        most = square;
        foundAt = i;
      }
    }
    if (foundAt >= 0) mostAt = [(foundAt - offset) / 2, iy, iz];
    const y = coordinate(volume, 1, block.start[1] + iy);
    const z = coordinate(volume, 0, block.start[0] + iz);
    for (const { name, center, radius } of zones) {
      const across = radius ** 2 - (y - center[1]) ** 2 - (z - center[2]) ** 2;
      if (across < 0) continue;
      let square = squares.get(name) ?? 0;
      for (let ix = 0; ix < block.shape[2]; ix++) {
        if ((coordinate(volume, 2, block.start[2] + ix) - center[0]) ** 2 > across) continue;
        square = Math.max(square, pressure[offset + 2 * ix]! ** 2 + pressure[offset + 2 * ix + 1]! ** 2);
      }
      squares.set(name, square);
    }
  });
  found.anywhere = Math.sqrt(Math.max(0, most));
  found.at = [
    coordinate(volume, 2, block.start[2] + mostAt[0]),
    coordinate(volume, 1, block.start[1] + mostAt[1]),
    coordinate(volume, 0, block.start[0] + mostAt[2]),
  ];
  for (const [name, square] of squares) found.zones[name] = Math.sqrt(square);
  return found;
}

/** Calls back for each row of the block with the offset of its first float in the chunk. */
function forRows({ chunk }: Volume, { shape }: Block, row: (iz: number, iy: number, offset: number) => void): void {
  for (let iz = 0; iz < shape[0]; iz++) {
    for (let iy = 0; iy < shape[1]; iy++) row(iz, iy, 2 * (iz * chunk[1] + iy) * chunk[2]);
  }
}
