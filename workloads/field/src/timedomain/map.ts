// A medium map: arrays of a Zarr v3 group, as zarr-python and this engine write them, read whole.
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { z } from 'zod';
import { crc32c } from '../zarr/crc32c.ts';

/** Bytes of a file below the group. @throws where there is none. */
export type FileOfGroup = (path: string) => Uint8Array;

const metadata = z.object({
  zarr_format: z.literal(3),
  node_type: z.literal('array'),
  shape: z.array(z.int().min(1)),
  data_type: z.enum(['float32', 'float64']),
  chunk_grid: z.object({
    name: z.literal('regular'),
    configuration: z.object({ chunk_shape: z.array(z.int().min(1)) }),
  }),
  chunk_key_encoding: z.object({
    name: z.enum(['default', 'v2']),
    configuration: z.object({ separator: z.enum(['/', '.']).exactOptional() }).exactOptional(),
  }),
  fill_value: z.unknown().optional(),
  codecs: z.array(z.object({ name: z.string(), configuration: z.record(z.string(), z.unknown()).exactOptional() })),
});
/** 512 MiB of 64-bit numbers. */
const mostChunkPoints = 2 ** 26;

type Metadata = z.output<typeof metadata>;

/**
 * The array's numbers in C order. Codecs: bytes (little endian), gzip, zstd, crc32c.
 * @param shape that it must have. @throws Error saying what is wrong with it.
 */
export function readMapArray(read: FileOfGroup, name: string, shape: readonly number[]): Float32Array {
  const parsed = metadata.safeParse(JSON.parse(Buffer.from(read(`${name}/zarr.json`)).toString('utf8')));
  if (!parsed.success) throw new Error(`${name}/zarr.json: ${z.prettifyError(parsed.error)}`);
  const array = parsed.data;
  const chunk = array.chunk_grid.configuration.chunk_shape;
  if (array.shape.join() !== shape.join() || chunk.length !== shape.length) {
    throw new Error(`${name} has ${array.shape.join(' × ')} points; the volume ${shape.join(' × ')} (z, y, x)`);
  }
  const pointsOfChunk = chunk.reduce((product, n) => product * n, 1);
  if (pointsOfChunk > mostChunkPoints) {
    throw new Error(`${name} has chunks of ${pointsOfChunk} points; at most ${mostChunkPoints} are read at once`);
  }
  const out = new Float32Array(shape.reduce((product, n) => product * n, 1));
  const [nz, ny, nx] = shape as [number, number, number];
  const [cz, cy, cx] = chunk as [number, number, number];
  for (let layer = 0; layer < nz; layer += cz) {
    for (let y = 0; y < ny; y += cy) {
      for (let x = 0; x < nx; x += cx) {
        const path = pathOf(array, [layer / cz, y / cy, x / cx]);
        const stored = storedIn(read, `${name}/${path}`, array);
        const values =
          typeof stored === 'number'
            ? new Float32Array(pointsOfChunk).fill(stored)
            : decoded(array, stored, pointsOfChunk, `${name}/${path}`);
        const width = Math.min(cx, nx - x);
        for (let iz = 0; iz < Math.min(cz, nz - layer); iz++) {
          for (let iy = 0; iy < Math.min(cy, ny - y); iy++) {
            const from = (iz * cy + iy) * cx;
            out.set(values.subarray(from, from + width), ((layer + iz) * ny + y + iy) * nx + x);
          }
        }
      }
    }
  }
  return out;
}

/** The file's bytes; the number that a chunk without a file is filled with, as zarr-python leaves it out. */
function storedIn(read: FileOfGroup, path: string, { fill_value }: Metadata): Uint8Array | number {
  try {
    return read(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && typeof fill_value === 'number') return fill_value;
    throw error;
  }
}

function pathOf({ chunk_key_encoding: { name, configuration } }: Metadata, indexes: readonly number[]): string {
  return name === 'default'
    ? ['c', ...indexes].join(configuration?.separator ?? '/')
    : indexes.join(configuration?.separator ?? '.');
}

function decoded({ codecs, data_type }: Metadata, stored: Uint8Array, count: number, path: string): Float32Array {
  const size = data_type === 'float32' ? 4 : 8;
  const most = { maxOutputLength: count * size + 64 };
  let bytes = stored;
  for (const { name, configuration } of codecs.toReversed()) {
    switch (name) {
      case 'crc32c': {
        const end = bytes.length - 4;
        const sum = end < 0 ? undefined : Buffer.from(bytes).readUInt32LE(end);
        bytes = bytes.subarray(0, Math.max(0, end));
        if (sum !== crc32c(bytes)) throw new Error(`${path} is damaged: its checksum is another`);
        break;
      }
      case 'zstd':
        bytes = zstdDecompressSync(bytes, most);
        break;
      case 'gzip':
        bytes = gunzipSync(bytes, most);
        break;
      case 'bytes':
        if (configuration?.endian === 'big') throw new Error(`${path} is big-endian`);
        break;
      default:
        throw new Error(`${path} has the codec ${name}; known are bytes, gzip, zstd and crc32c`);
    }
  }
  if (bytes.length !== count * size) throw new Error(`${path} holds ${bytes.length} bytes, not ${count * size}`);
  // A copy begins where any number may.
  const { buffer } = Uint8Array.from(bytes);
  return size === 4 ? new Float32Array(buffer) : Float32Array.from(new Float64Array(buffer));
}
