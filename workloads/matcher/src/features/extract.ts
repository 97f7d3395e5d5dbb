// Corners of an image with what describes them: what is left to recognise when an image was cropped or drawn over.
import { MatcherError } from '../errors.ts';
import type { Pixels } from '../pdq/pdq.ts';
import { type KernelMemory, kernel, reserve } from '../wasm.ts';
import { wasm } from './module.ts';

/** Columns, an entry of each to a feature; positions in pixels of the working image. */
export interface Features {
  readonly count: number;
  readonly width: number;
  readonly height: number;
  readonly x: Uint16Array;
  readonly y: Uint16Array;
  /** Level of the pyramid; its pixels are 1.25 to that power wide. */
  readonly level: Uint8Array;
  /** 256ths of a turn. */
  readonly direction: Uint8Array;
  /** 32 bytes each. */
  readonly descriptors: Uint8Array;
}

/** Edge of a pixel of one level over that of the level before. */
export const levelRatio = 1.25;

/** So far corners must differ from the pixels around them, of 255; lowered until an image has enough. */
const thresholds = [16, 7] as const;
const mostPixels = 2048 * 2048;

interface Exports {
  memory: KernelMemory;
  readonly pattern: () => number;
  readonly descriptor: () => number;
  readonly corners: () => number;
  readonly image: () => number;
  readonly widthOf: (level: number) => number;
  readonly heightOf: (level: number) => number;
  readonly plan: (width: number, height: number) => number;
  readonly pyramid: (width: number, height: number) => number;
  readonly detect: (level: number, threshold: number) => number;
  readonly describe: (level: number, x: number, y: number) => void;
  readonly directionX: () => number;
  readonly directionY: () => number;
}

interface Corner {
  readonly x: number;
  readonly y: number;
  readonly score: number;
}

const instance = kernel<Exports>(wasm);

/** One extractor serves one thread. */
export class FeatureExtractor {
  readonly #exports: Exports;

  constructor() {
    this.#exports = instance();
    const { memory, pattern } = this.#exports;
    reserve(memory, 1 << 20);
    new Int8Array(memory.buffer, pattern(), 4 * 256).set(pairs());
  }

  /** The `most` strongest corners, spread over the image and its scales. */
  extract({ data, width, height, channels }: Pixels, most: number, share = 0.64): Features {
    if (width * height > mostPixels) throw new MatcherError('ImageTooLarge', `${width}×${height} pixels to describe`);
    const { memory, plan, image, pyramid } = this.#exports;
    reserve(memory, plan(width, height));
    writeGrey(data, channels, new Uint8Array(memory.buffer, image(), width * height));
    const levels = pyramid(width, height);
    let chosen: { level: number; corner: Corner }[] = [];
    for (const threshold of thresholds) {
      chosen = [];
      // Each level has 0.64 of the pixels of the one before, and gets that share of features.
      const shares = Array.from({ length: levels }, (_, level) => share ** level);
      const total = shares.reduce((sum, each) => sum + each, 0);
      let left = most;
      for (let level = levels - 1; level >= 0; level--) {
        const here = level === 0 ? left : Math.round((most * (shares[level] as number)) / total) + 2;
        const corners = this.#spread(level, this.#detect(level, threshold), Math.min(here, left));
        left -= corners.length;
        for (const corner of corners) chosen.push({ level, corner });
      }
      if (chosen.length >= most / 2) break;
    }
    return this.#describe(chosen, width, height);
  }

  #detect(level: number, threshold: number): Corner[] {
    const { memory, detect, corners } = this.#exports;
    const count = detect(level, threshold);
    const view = new DataView(memory.buffer, corners(), 8 * count);
    return Array.from({ length: count }, (_, i) => ({
      x: view.getUint16(8 * i, true),
      y: view.getUint16(8 * i + 2, true),
      score: view.getFloat32(8 * i + 4, true),
    })).sort((a, b) => b.score - a.score || a.y - b.y || a.x - b.x);
  }

  /** Strongest first, but each of 8 × 8 fields its share before any gets more: a logo must not take them all. */
  #spread(level: number, corners: readonly Corner[], most: number): Corner[] {
    if (corners.length <= most) return [...corners];
    const { widthOf, heightOf } = this.#exports;
    const [w, h] = [widthOf(level), heightOf(level)];
    const chosen: Corner[] = [];
    let rest = corners;
    for (let round = 1; chosen.length < most && rest.length > 0; round++) {
      const counts = new Uint16Array(64);
      const later: Corner[] = [];
      for (const corner of rest) {
        const field = 8 * Math.floor((8 * corner.y) / h) + Math.floor((8 * corner.x) / w);
        if (chosen.length < most && (counts[field] as number) < round) {
          counts[field] = (counts[field] as number) + 1;
          chosen.push(corner);
        } else {
          later.push(corner);
        }
      }
      rest = later;
    }
    return chosen;
  }

  #describe(chosen: readonly { level: number; corner: Corner }[], width: number, height: number): Features {
    const { memory, describe, descriptor, directionX, directionY } = this.#exports;
    const count = chosen.length;
    const features = {
      count,
      width,
      height,
      x: new Uint16Array(count),
      y: new Uint16Array(count),
      level: new Uint8Array(count),
      direction: new Uint8Array(count),
      descriptors: new Uint8Array(32 * count),
    };
    const described = new Uint8Array(memory.buffer, descriptor(), 32);
    chosen.forEach(({ level, corner }, i) => {
      describe(level, corner.x, corner.y);
      const size = levelRatio ** level;
      features.x[i] = Math.round((corner.x + 0.5) * size - 0.5);
      features.y[i] = Math.round((corner.y + 0.5) * size - 0.5);
      features.level[i] = level;
      features.direction[i] = Math.round((Math.atan2(directionY(), directionX()) / (2 * Math.PI)) * 256) & 255;
      features.descriptors.set(described, 32 * i);
    });
    return features;
  }
}

/** 38 bytes to a feature, and six before them. */
export function pack(features: Features): Uint8Array {
  const { count, width, height } = features;
  const out = new Uint8Array(6 + 38 * count);
  const view = new DataView(out.buffer);
  view.setUint16(0, count, true);
  view.setUint16(2, width, true);
  view.setUint16(4, height, true);
  for (let i = 0; i < count; i++) {
    const at = 6 + 38 * i;
    view.setUint16(at, features.x[i] as number, true);
    view.setUint16(at + 2, features.y[i] as number, true);
    out[at + 4] = features.level[i] as number;
    out[at + 5] = features.direction[i] as number;
    out.set(features.descriptors.subarray(32 * i, 32 * i + 32), at + 6);
  }
  return out;
}

export function unpack(bytes: Uint8Array): Features {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const count = view.getUint16(0, true);
  const features = {
    count,
    width: view.getUint16(2, true),
    height: view.getUint16(4, true),
    x: new Uint16Array(count),
    y: new Uint16Array(count),
    level: new Uint8Array(count),
    direction: new Uint8Array(count),
    descriptors: new Uint8Array(32 * count),
  };
  for (let i = 0; i < count; i++) {
    const at = 6 + 38 * i;
    features.x[i] = view.getUint16(at, true);
    features.y[i] = view.getUint16(at + 2, true);
    features.level[i] = bytes[at + 4] as number;
    features.direction[i] = bytes[at + 5] as number;
    features.descriptors.set(bytes.subarray(at + 6, at + 38), 32 * i);
  }
  return features;
}

function writeGrey(data: Uint8Array, channels: number, out: Uint8Array): void {
  if (channels === 1) {
    out.set(data.subarray(0, out.length));
    return;
  }
  for (let i = 0, at = 0; i < out.length; i++, at += 3) {
    out[i] = ((data[at] as number) * 77 + (data[at + 1] as number) * 150 + (data[at + 2] as number) * 29) >> 8;
  }
}

/** 256 pairs of points, normally distributed within a disc of radius 15, the same in every process. */
function pairs(): Int8Array {
  let state = 0x9e3779b9;
  const uniform = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  const point = (): [number, number] => {
    while (true) {
      const radius = 6.2 * Math.sqrt(-2 * Math.log(uniform() + 1e-12));
      const angle = 2 * Math.PI * uniform();
      if (radius <= 15) return [Math.round(radius * Math.cos(angle)), Math.round(radius * Math.sin(angle))];
    }
  };
  const out: number[] = [];
  while (out.length < 4 * 256) {
    const [a, b] = [point(), point()];
    // A pair whose boxes overlap much says little.
    if ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 >= 25) out.push(...a, ...b);
  }
  return Int8Array.from(out);
}
