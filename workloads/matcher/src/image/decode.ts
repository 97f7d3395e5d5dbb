// Bytes from anywhere to a small RGB image: the format told by its first bytes, pixels bounded before they are
// decoded, time bounded while they are, orientation applied, and metadata gone.
import { createHash } from 'node:crypto';
import sharp, { type Sharp } from 'sharp';
import { MatcherError } from '../errors.ts';
import type { Pixels } from '../pdq/pdq.ts';

export interface DecodeLimits {
  /** Bytes of the file. */
  readonly maxBytes: number;
  /** Pixels that the file says it has, of its first frame. */
  readonly maxPixels: number;
  /** Whole seconds that decoding may take, of all its frames. */
  readonly seconds: number;
}

export const defaultLimits: DecodeLimits = { maxBytes: 20 << 20, maxPixels: 50_000_000, seconds: 10 };

/** Upright, sRGB, on white where it was transparent; neither edge above `workingEdge`. */
export type WorkingPixels = Pixels & { readonly channels: 3 };

export interface DecodedImage {
  readonly pixels: WorkingPixels;
  readonly format: ImageFormat;
}

export type ImageFormat = 'JPEG' | 'PNG' | 'WebP' | 'GIF' | 'TIFF' | 'AVIF' | 'HEIC';

/** PDQ reads 64 × 64 of it and local features up to this; decoders of JPEG and WebP shrink to it while they decode. */
export const workingEdge = 512;

// Formats that fetch, execute or nest others have no business here, whatever the sniffing below lets through.
sharp.block({
  operation: [
    'VipsForeignLoadSvg',
    'VipsForeignLoadPdf',
    'VipsForeignLoadMagick',
    'VipsForeignLoadOpenslide',
    'VipsForeignLoadMat',
    'VipsForeignLoadCsv',
    'VipsForeignLoadFits',
    'VipsForeignLoadNifti',
    'VipsForeignLoadVips',
    'VipsForeignLoadAnalyze',
    'VipsForeignLoadRaw',
  ],
});
// Requests run beside each other, so one image gets one thread; nothing is worth keeping between two images.
sharp.concurrency(1);
sharp.cache(false);

/**
 * A still, or the first frame of what moves.
 * @throws MatcherError `ImageTooLarge`, `ImageUnsupported`, `ImageUnreadable` or `ImageTimeout`.
 */
export async function decode(file: Uint8Array, limits: DecodeLimits = defaultLimits): Promise<DecodedImage> {
  if (file.length > limits.maxBytes) {
    throw new MatcherError('ImageTooLarge', `the image has ${file.length} bytes; at most ${limits.maxBytes} are taken`);
  }
  const format = formatOf(file);
  if (format === undefined) {
    throw new MatcherError('ImageUnsupported', 'not a JPEG, PNG, WebP, GIF, TIFF or AVIF image by its first bytes');
  }
  if (isSequence(file)) {
    throw new MatcherError('ImageUnsupported', 'of an AVIF sequence only the first frame can be read: send its frames');
  }
  return { pixels: await decodePage(file, 0, limits), format };
}

/** One page of a file of several; pages count from 0. */
export async function decodePage(file: Uint8Array, page: number, limits: DecodeLimits): Promise<WorkingPixels> {
  const options = {
    limitInputPixels: limits.maxPixels,
    failOn: 'error',
    page,
    pages: 1,
    sequentialRead: true,
  } as const;
  return await working(sharp(file, options).autoOrient(), limits);
}

/** A picture that was opened, as the stages take it. */
export async function working(picture: Sharp, limits: DecodeLimits): Promise<WorkingPixels> {
  const { data, width, height } = await rawOf(
    picture
      .resize({ width: workingEdge, height: workingEdge, fit: 'inside', withoutEnlargement: true, kernel: 'cubic' })
      .flatten({ background: '#ffffff' }),
    limits,
  );
  return { data: rgb(data, width * height), width, height, channels: 3 };
}

/** Eight bits a channel, of as many channels as come out. */
export async function rawOf(
  picture: Sharp,
  limits: DecodeLimits,
): Promise<{ data: Buffer; width: number; height: number }> {
  try {
    const { data, info } = await picture
      .toColourspace('srgb')
      .timeout({ seconds: limits.seconds })
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return { data, width: info.width, height: info.height };
  } catch (error) {
    throw refusal(error, limits);
  }
}

/** SHA-256 of the file itself: the same bytes need no second look. */
export function digest(file: Uint8Array): string {
  return createHash('sha256').update(file).digest('hex');
}

/** By the first bytes alone: names and content types are what the sender says. */
export function formatOf(file: Uint8Array): ImageFormat | undefined {
  const head = Buffer.from(file.buffer, file.byteOffset, Math.min(file.length, 64)).toString('latin1');
  if (head.startsWith('\xff\xd8\xff')) return 'JPEG';
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return 'PNG';
  if (head.startsWith('RIFF') && head.slice(8, 12) === 'WEBP') return 'WebP';
  if (head.startsWith('GIF87a') || head.startsWith('GIF89a')) return 'GIF';
  if (head.startsWith('II*\0') || head.startsWith('MM\0*')) return 'TIFF';
  if (head.slice(4, 8) !== 'ftyp') return undefined;
  const brands = head.slice(8, 40);
  if (/avi[fs]/.test(brands)) return 'AVIF';
  return /hei[cxs]|mif1/.test(brands) ? 'HEIC' : undefined;
}

/** Those who play it go by the major brand. */
function isSequence(file: Uint8Array): boolean {
  return Buffer.from(file.buffer, file.byteOffset, Math.min(file.length, 12)).toString('latin1', 4) === 'ftypavis';
}

/** One and two channels come out of grey images whatever is asked for. */
function rgb(data: Buffer, pixels: number): Uint8Array {
  const channels = data.length / pixels;
  if (channels === 3) return data;
  const out = new Uint8Array(3 * pixels);
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) out[3 * i + c] = data[channels * i + (channels > 3 ? c : 0)] as number;
  }
  return out;
}

function refusal(error: unknown, limits: DecodeLimits): Error {
  if (error instanceof MatcherError) return error;
  const message = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  if (/timeout/i.test(message)) {
    return new MatcherError('ImageTimeout', `the image took longer than ${limits.seconds} s to decode`, {
      cause: error,
    });
  }
  if (/pixel limit/i.test(message)) {
    return new MatcherError('ImageTooLarge', `more than ${limits.maxPixels} pixels`, { cause: error });
  }
  if (/unsupported|not allowed|operation is blocked/i.test(message)) {
    return new MatcherError('ImageUnsupported', 'the image uses an encoding that is not taken', { cause: error });
  }
  return new MatcherError('ImageUnreadable', `the image cannot be decoded: ${message.slice(0, 200)}`, { cause: error });
}
