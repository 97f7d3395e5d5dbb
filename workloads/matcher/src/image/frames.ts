// All that a file shows: a still's picture, or of an animation the frames that differ most. An animation costs no more
// pixels than the largest still, and as much time.
import { QuintetError } from '@quintet/runtime';
import sharp from 'sharp';
import { MatcherError } from '../errors.ts';
import { framesOf } from './animation/animation.ts';
import { Canvas } from './animation/canvas.ts';
import { Distinct, sketchOf } from './animation/distinct.ts';
import type { Animation } from './animation/part.ts';
import {
  type DecodeLimits,
  decode,
  decodePage,
  defaultLimits,
  formatOf,
  rawOf,
  type WorkingPixels,
  working,
} from './decode.ts';

export interface Frame {
  /** Place in the file, from 0. */
  readonly index: number;
  readonly pixels: WorkingPixels;
}

export interface Shown {
  /** By their place; the first frame is always among them. */
  readonly frames: readonly [Frame, ...Frame[]];
  /** Frames of the file: 1 for a still. */
  readonly of: number;
  /** Of these, how many were looked at, from the first one on, or of pages evenly. */
  readonly read: number;
}

/** Frames of one file that are judged. */
export const mostJudged = 8;
/** Pixels that a frame counts for at least: each is a call of the decoder. */
const fewestPixels = 1 << 16;
/** A canvas stays in memory with what is drawn on it, four bytes a pixel each, so it may be so much smaller than a still. */
const canvasShare = 4;

export interface FramesOptions {
  readonly signal?: AbortSignal | undefined;
  /** Whether the first frame will do, so that no other is decoded. */
  readonly suffices?: (first: WorkingPixels) => boolean;
}

/**
 * @throws MatcherError as `decode` does, also where a later frame is damaged; QuintetError `CANCELLED`.
 */
export async function decodeFrames(
  file: Uint8Array,
  limits: DecodeLimits = defaultLimits,
  { signal, suffices }: FramesOptions = {},
): Promise<Shown> {
  const turn = turnsOf(limits, signal);
  const { pixels, format } = await decode(file, limits);
  const first = { index: 0, pixels };
  const found = framesOf(file, format);
  const of = found?.pages?.length ?? found?.animation?.parts.length ?? 1;
  if (!found || suffices?.(pixels)) return { frames: [first], of, read: 1 };
  return found.pages
    ? await judgedPages(file, found.pages, { first, limits, turn })
    : await judgedParts(found.animation, { first, limits, turn });
}

/** Whether there is more than one frame to be judged, by the container alone. */
export function moves(file: Uint8Array): boolean {
  const format = formatOf(file);
  return format !== undefined && framesOf(file, format) !== undefined;
}

interface Reading {
  readonly first: Frame;
  readonly limits: DecodeLimits;
  /** Runs what decodes a frame within the time that is left. */
  readonly turn: <T>(frame: number, work: (limits: DecodeLimits) => Promise<T>) => Promise<T>;
}

async function judgedParts({ parts, width, height }: Animation, { first, limits, turn }: Reading): Promise<Shown> {
  const of = parts.length;
  const size = width * height;
  if (size > limits.maxPixels / canvasShare) return { frames: [first], of, read: 1 };
  const canvas = new Canvas({ width, height });
  const distinct = new Distinct<WorkingPixels>(mostJudged);
  let [left, read] = [limits.maxPixels, 0];
  for (const [index, part] of parts.entries()) {
    const pixels = part.width * part.height;
    left -= Math.max(pixels, fewestPixels);
    if (left < 0) break;
    await turn(index, async (within) => {
      const still = sharp(part.still(), { failOn: 'error', limitInputPixels: pixels, pages: 1 });
      canvas.draw(part, await rawOf(still.ensureAlpha(), within));
      const sketch = sketchOf(canvas, 4);
      if (index === 0) return distinct.keep(0, sketch, first.pixels);
      if (!distinct.wants(sketch)) return;
      left -= size;
      const raw = { width, height, channels: 4 } as const;
      distinct.keep(index, sketch, await working(sharp(canvas.data, { raw }), within));
    });
    read++;
  }
  return shown(distinct, first, { of, read: Math.max(1, read) });
}

async function judgedPages(file: Uint8Array, pages: readonly number[], reading: Reading): Promise<Shown> {
  const { first, limits, turn } = reading;
  const distinct = new Distinct<WorkingPixels>(mostJudged);
  distinct.keep(0, sketchOf(first.pixels, 3), first.pixels);
  const indices = affordable(pages, limits.maxPixels);
  for (const index of indices) {
    if (index === 0) continue;
    const pixels = await turn(index, (within) => decodePage(file, index, within));
    const sketch = sketchOf(pixels, 3);
    if (distinct.wants(sketch)) distinct.keep(index, sketch, pixels);
  }
  return shown(distinct, first, { of: pages.length, read: indices.length });
}

/** As many pages as the pixels allow, at even distances, the first and the last among them. */
function affordable(pages: readonly number[], most: number): number[] {
  for (let count = pages.length; count > 1; count = Math.min(count - 1, Math.floor(count * 0.9))) {
    const indices = Array.from({ length: count }, (_, i) => Math.round((i * (pages.length - 1)) / (count - 1)));
    const pixels = indices.reduce((sum, index) => sum + Math.max(pages[index] as number, fewestPixels), 0);
    if (pixels <= most) return indices;
  }
  return [0];
}

function shown(distinct: Distinct<WorkingPixels>, first: Frame, { of, read }: { of: number; read: number }): Shown {
  const others = distinct.kept.flatMap(({ index, frame }) => (index > 0 ? [{ index, pixels: frame }] : []));
  return { frames: [first, ...others], of, read };
}

function turnsOf(limits: DecodeLimits, signal: AbortSignal | undefined): Reading['turn'] {
  const ends = performance.now() + 1000 * limits.seconds;
  return async (frame, work) => {
    if (signal?.aborted) throw new QuintetError('CANCELLED');
    const seconds = Math.ceil((ends - performance.now()) / 1000);
    if (seconds <= 0)
      throw new MatcherError('ImageTimeout', `its frames took longer than ${limits.seconds} s to decode`);
    try {
      return await work({ ...limits, seconds });
    } catch (error) {
      if (!(error instanceof MatcherError)) throw error;
      throw new MatcherError(error.code, `frame ${frame}: ${error.message}`, { cause: error });
    }
  };
}
