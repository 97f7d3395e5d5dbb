// What stands in for an image: its hashes, corners and vector, of each of its frames that is judged.
import { setImmediate } from 'node:timers/promises';
import { QuintetError } from '@quintet/runtime';
import type { Embedder } from '../embedding/embedder.ts';
import { FeatureExtractor, type Features, pack } from '../features/extract.ts';
import { type DecodeLimits, defaultLimits, digest, type WorkingPixels } from '../image/decode.ts';
import { decodeFrames, type Frame, type FramesOptions, mostJudged, moves, type Shown } from '../image/frames.ts';
import { decodersOf, Slots } from '../image/slots.ts';
import { formatHash, type PdqHash, PdqHasher, type Variant, variants } from '../pdq/pdq.ts';
import type { NewItem } from '../record/record.ts';

export const levels = ['Speed', 'Balanced', 'Accuracy', 'Memory'] as const;
export type Level = (typeof levels)[number];

/** Of one picture. */
export interface Print {
  readonly hashes: readonly string[];
  readonly quality: number;
  readonly features: Features | null;
  readonly mirrored: Features | null;
  readonly embedding: Float32Array | null;
}

/** Of a file, and of its first frame; equal pictures meet in the cache whatever tier they were found in. */
export interface Fingerprint extends Print {
  readonly sha256: string | null;
  /** Left out for a still. */
  readonly animation?: {
    /** Frames of the file, and how many of them were looked at. */
    readonly of: number;
    readonly read: number;
    /** Those that are judged beside the first. */
    readonly others: readonly (Print & { readonly frame: number })[];
  };
}

export interface FingerprinterOptions {
  readonly minQuality: number;
  readonly dihedral: boolean;
  /** Local features are taken at registration and asked at level Accuracy. */
  readonly crops: boolean;
  /** Left out where the pool mounts no model. */
  readonly embedder?: Pick<Embedder, 'version' | 'embed'> | undefined;
  readonly limits?: DecodeLimits;
}

/** What is registered of an image. */
export interface Described {
  readonly item: Omit<NewItem, 'id' | 'bank'>;
  /** Which of its frames that is, of how many; left out for a still. */
  readonly frame?: { readonly index: number; readonly of: number };
}

/** Corners of an item, and of a query, which may show only a part of it. */
const cornersOfItem = 300;
const cornersOfQuery = 500;

export class Fingerprinter {
  readonly #options: FingerprinterOptions;
  readonly #limits: DecodeLimits;
  readonly #hasher = new PdqHasher();
  readonly #extractor = new FeatureExtractor();
  readonly #slots = new Slots();
  /** Animations that are worked on at once: however many come, a decoder is left to stills. */
  readonly #moving = new Slots(Math.max(1, decodersOf(process.env['UV_THREADPOOL_SIZE']) - 1));
  readonly #keys = new Map<Level, string>();

  constructor(options: FingerprinterOptions) {
    this.#options = options;
    this.#limits = options.limits ?? defaultLimits;
  }

  /** What else than the bytes of an image its fingerprint depends on: a part of every key that one is kept under. */
  keyOf(level: Level): string {
    let known = this.#keys.get(level);
    if (known !== undefined) return known;
    const { dihedral, embedder } = this.#options;
    known = JSON.stringify({
      ...this.#taken(level),
      mirrored: dihedral,
      model: embedder?.version,
      limits: this.#limits,
      frames: mostJudged,
    });
    this.#keys.set(level, known);
    return known;
  }

  /** Ways in which the hash of an image is looked for. */
  waysOf(level: Level): readonly Variant[] {
    return this.#taken(level).turned ? variants : ['Original'];
  }

  /** @throws MatcherError when the image is refused. */
  async of(file: Uint8Array, level: Level, signal?: AbortSignal): Promise<Fingerprint> {
    return await this.#inTurn(file, async () => await this.#of(file, level, signal), signal);
  }

  /** Of an animation, what its first frame is whose hash is worth something; where none is, the best of them. */
  async describe(file: Uint8Array): Promise<Described> {
    return await this.#inTurn(file, async () => await this.#describe(file));
  }

  async #of(file: Uint8Array, level: Level, signal?: AbortSignal): Promise<Fingerprint> {
    const { frames, of, read } = await this.#decode(file, { signal });
    const [first, ...rest] = frames;
    const print = await this.#print(first.pixels, level, signal);
    const others: (Print & { frame: number })[] = [];
    for (const { index, pixels } of rest) {
      // Other requests have their turn between two frames.
      await setImmediate();
      if (signal?.aborted) throw new QuintetError('CANCELLED');
      others.push({ frame: index, ...(await this.#print(pixels, level, signal)) });
    }
    return { sha256: digest(file), ...print, ...(of > 1 && { animation: { of, read, others } }) };
  }

  async #describe(file: Uint8Array): Promise<Described> {
    const { crops, embedder, minQuality } = this.#options;
    const suffices = (pixels: WorkingPixels) => this.#hasher.hash(pixels).quality >= minQuality;
    const { frames, of } = await this.#decode(file, { suffices });
    const { index, pixels, hash, quality } = telling(frames, this.#hasher, minQuality);
    const features = crops ? pack(this.#extractor.extract(pixels, cornersOfItem)) : undefined;
    const vector = await embedder?.embed(pixels);
    const embedding = vector && Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
    const item = { sha256: digest(file), hash, quality, features, embedding, embeddingModel: embedder?.version };
    return { item, ...(of > 1 && { frame: { index, of } }) };
  }

  async #inTurn<T>(file: Uint8Array, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return moves(file) ? await this.#moving.run(file.length, work, signal) : await work();
  }

  #taken(level: Level): { turned: boolean; corners: boolean } {
    const { dihedral, crops } = this.#options;
    return { turned: dihedral && level !== 'Speed', corners: level === 'Accuracy' && crops };
  }

  async #decode(file: Uint8Array, options: FramesOptions): Promise<Shown> {
    return await this.#slots.run(
      file.length,
      async () => await decodeFrames(file, this.#limits, options),
      options.signal,
    );
  }

  async #print(pixels: WorkingPixels, level: Level, signal?: AbortSignal): Promise<Print> {
    const { turned, corners } = this.#taken(level);
    const { dihedral, embedder } = this.#options;
    const embedding = (await embedder?.embed(pixels, signal)) ?? null;
    const { hashes, quality } = turned ? this.#hasher.dihedral(pixels) : oneOf(this.#hasher.hash(pixels));
    return {
      hashes: hashes.map(formatHash),
      quality,
      features: corners ? this.#extractor.extract(pixels, cornersOfQuery) : null,
      embedding,
      mirrored: corners && dihedral ? this.#extractor.extract(mirror(pixels), cornersOfQuery) : null,
    };
  }
}

/** The first frame whose hash has enough quality, else the one whose has most. */
export function telling(frames: Shown['frames'], hasher: PdqHasher, minQuality: number): Frame & PdqHash {
  const hashed = (frame: Frame) => ({ ...frame, ...hasher.hash(frame.pixels) });
  const [first, ...rest] = frames;
  return rest.reduce<Frame & PdqHash>((best, frame) => {
    if (best.quality >= minQuality) return best;
    const each = hashed(frame);
    return each.quality > best.quality ? each : best;
  }, hashed(first));
}

function oneOf({ hash, quality }: PdqHash) {
  return { hashes: [hash], quality };
}

function mirror({ data, width, height }: WorkingPixels): WorkingPixels {
  const out = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 3 * (y * width + width - 1 - x);
      const to = 3 * (y * width + x);
      out[to] = data[from] as number;
      out[to + 1] = data[from + 1] as number;
      out[to + 2] = data[from + 2] as number;
    }
  }
  return { data: out, width, height, channels: 3 };
}
