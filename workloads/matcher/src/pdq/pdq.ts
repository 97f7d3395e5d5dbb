// PDQ, the 256-bit perceptual hash: the same pixels give the same bits as Meta's C++ reference.
import { MatcherError } from '../errors.ts';
import { type KernelMemory, kernel, reserve } from '../wasm.ts';
import { wasm } from './module.ts';

/** Order of the eight hashes of `dihedral`: the image as it is, then turned and mirrored. */
export const variants = [
  'Original',
  'Rotate90',
  'Rotate180',
  'Rotate270',
  'FlipX',
  'FlipY',
  'FlipDiagonal',
  'FlipAntidiagonal',
] as const;
export type Variant = (typeof variants)[number];

/** Pixels row after row, one byte (grey) or three (red, green, blue) each. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
}

export interface PdqHash {
  /** 32 bytes; in hexadecimal they read as the hash is written everywhere. */
  readonly hash: Uint8Array;
  /** 0..100; below 50 the image has too few gradients to be judged by its hash. */
  readonly quality: number;
}

export interface DihedralHashes {
  /** In the order of `variants`. */
  readonly hashes: readonly Uint8Array[];
  readonly quality: number;
}

/** Images narrower than this have no hash: it is zero and so is the quality. */
const fewestPixels = 5;
/** About 150 MB of work space; decoders shrink first. */
const mostPixels = 1 << 24;

interface Exports {
  memory: KernelMemory;
  readonly configure: (base: number) => void;
  readonly hash: (
    pixels: number,
    rows: number,
    columns: number,
    channels: number,
    work: number,
    lanes: number,
    sums: number,
    dihedral: boolean,
  ) => number;
  readonly output: () => number;
  readonly thumbnail: () => number;
}

/** The kernel keeps its constants and small buffers from here on; what is sized by the image follows. */
const base = 1024;
const firstFree = 65_536;

const instance = kernel<Exports>(wasm);

/** One hasher serves one thread; it keeps work space for the largest image it has seen. */
export class PdqHasher {
  readonly #exports: Exports;

  constructor() {
    this.#exports = instance();
    reserve(this.#exports.memory, firstFree);
    new Float32Array(this.#exports.memory.buffer, base, 16 * 64).set(cosines());
    this.#exports.configure(base);
  }

  /** @throws MatcherError `ImageTooLarge` above 16 megapixels, `ImageUnreadable` when `data` is too short. */
  hash(pixels: Pixels): PdqHash {
    const { hashes, quality } = this.#run(pixels, false);
    return { hash: hashes[0] as Uint8Array, quality };
  }

  /** The hashes of the image turned and mirrored eight ways, from one transform. */
  dihedral(pixels: Pixels): DihedralHashes {
    return this.#run(pixels, true);
  }

  #run({ data, width, height, channels }: Pixels, dihedral: boolean): DihedralHashes {
    const count = dihedral ? 8 : 1;
    const bytes = width * height * channels;
    if (width * height > mostPixels) throw new MatcherError('ImageTooLarge', `${width}×${height} pixels to hash`);
    if (data.length < bytes) throw new MatcherError('ImageUnreadable', 'fewer pixels than the size says');
    if (width < fewestPixels || height < fewestPixels) {
      return { hashes: Array.from({ length: count }, () => new Uint8Array(32)), quality: 0 };
    }
    const pixels = firstFree;
    const work = align(pixels + bytes + 16);
    const lanes = work + 2 * 4 * (height + 4) * Math.max(width, 64) + 64;
    const sums = lanes + 2 * 16 * (width + 4);
    const { memory } = this.#exports;
    reserve(memory, sums + 4 * Math.max(width, 64) + 64);
    new Uint8Array(memory.buffer, pixels, bytes).set(data.subarray(0, bytes));
    const quality = this.#exports.hash(pixels, height, width, channels, work, lanes, sums, dihedral);
    const out = this.#exports.output();
    return {
      hashes: Array.from(
        { length: count },
        (_, i) => new Uint8Array(memory.buffer.slice(out + 32 * i, out + 32 * i + 32)),
      ),
      quality,
    };
  }
}

/** Hamming distance of two hashes of equal length. */
export function distance(a: Uint8Array, b: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += bitsOf[(a[i] as number) ^ (b[i] as number)] as number;
  return sum;
}

/** @throws MatcherError `HashInvalid` unless `text` is 64 hexadecimal digits. */
export function parseHash(text: string): Uint8Array {
  if (!/^[0-9a-f]{64}$/i.test(text)) throw new MatcherError('HashInvalid', 'a PDQ hash is 64 hexadecimal digits');
  return new Uint8Array(Buffer.from(text, 'hex'));
}

export function formatHash(hash: Uint8Array): string {
  return Buffer.from(hash).toString('hex');
}

const bitsOf = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest > 0; rest >>= 1) count += rest & 1;
  return count;
});

/** Rows 1 to 16 of the 64-point cosine transform; the scale is rounded to 32 bits before, the product after. */
function cosines(): Float32Array {
  const scale = Math.fround(Math.sqrt(2 / 64));
  return Float32Array.from({ length: 16 * 64 }, (_, at) => {
    const row = Math.floor(at / 64);
    const column = at % 64;
    return scale * Math.cos((Math.PI / 2 / 64) * (row + 1) * (2 * column + 1));
  });
}

function align(address: number): number {
  return (address + 15) & ~15;
}
