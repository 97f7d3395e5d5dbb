// `match DIR --against DIR`: the images of one folder among those of another, without a service or a database.
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { MatcherError } from '../errors.ts';
import type { Alignment } from '../features/align.ts';
import { FeatureExtractor } from '../features/extract.ts';
import { FeatureIndex } from '../features/feature-index.ts';
import { digest, type WorkingPixels } from '../image/decode.ts';
import { decodeFrames } from '../image/frames.ts';
import { HashIndex } from '../index/hash-index.ts';
import { telling } from '../match/fingerprint.ts';
import { PdqHasher, type Variant, variants } from '../pdq/pdq.ts';

export interface FolderOptions {
  /** `Accuracy` also finds crops and overlays. Default. */
  readonly level?: 'Speed' | 'Balanced' | 'Accuracy';
  /** Largest distance of two hashes that match. Default 31. */
  readonly maxDistance?: number;
  /** Images of less quality are judged by their features alone. Default 50. */
  readonly minQuality?: number;
  /** Called after each file. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface FolderMatch {
  /** Paths below the two folders. */
  readonly file: string;
  readonly against: string;
  readonly stage: 'Exact' | 'Hash' | 'Features';
  /** Of an animation, the place of the frame that is like the known image, from 0. */
  readonly frame?: number;
  readonly distance?: number;
  readonly variant?: Variant;
  readonly alignment?: Alignment;
}

export interface FolderResult {
  readonly matches: readonly FolderMatch[];
  /** Files that are no images that can be decoded, with the reason. */
  readonly skipped: readonly { readonly file: string; readonly reason: string }[];
  /** Images of either folder, without what was skipped. */
  readonly compared: number;
  readonly known: number;
}

type Found = Omit<FolderMatch, 'file' | 'against'>;

const cornersOfItem = 300;
const cornersOfQuery = 500;

export async function matchFolders(
  folder: string,
  against: string,
  options: FolderOptions = {},
): Promise<FolderResult> {
  const { level = 'Accuracy', maxDistance = 31, minQuality = 50, onProgress } = options;
  const [hasher, extractor] = [new PdqHasher(), new FeatureExtractor()];
  const [hashes, features] = [new HashIndex(), new FeatureIndex()];
  const [files, known] = await Promise.all([filesIn(folder), filesIn(against)]);
  const skipped: { file: string; reason: string }[] = [];
  const matches: FolderMatch[] = [];
  const byDigest = new Map<string, number>();
  const total = files.length + known.length;
  let done = 0;
  const each = async (root: string, file: string, take: (bytes: Buffer) => Promise<void>) => {
    try {
      await take(await readFile(join(root, file)));
    } catch (error) {
      if (!(error instanceof MatcherError)) throw error;
      skipped.push({ file: join(root, file), reason: error.message });
    }
    onProgress?.(++done, total);
  };
  const suffices = (pixels: WorkingPixels) => hasher.hash(pixels).quality >= minQuality;
  for (const [number, file] of known.entries()) {
    await each(against, file, async (bytes) => {
      const { frames } = await decodeFrames(bytes, undefined, { suffices });
      const { pixels, hash, quality } = telling(frames, hasher, minQuality);
      byDigest.set(digest(bytes), number);
      if (quality >= minQuality) hashes.add({ number, hash, bank: 0, flags: 0 });
      if (level === 'Accuracy') features.add(number, extractor.extract(pixels, cornersOfItem));
    });
  }
  const find = (pixels: WorkingPixels): Map<number, Found> => {
    const turned = hasher.dihedral(pixels);
    const found = new Map<number, Found>();
    const asked = turned.quality < minQuality ? [] : level === 'Speed' ? turned.hashes.slice(0, 1) : turned.hashes;
    asked.forEach((hash, i) => {
      for (const { number, distance } of hashes.search(hash, maxDistance)) {
        if ((found.get(number)?.distance ?? 256) <= distance) continue;
        found.set(number, { stage: 'Hash', distance, variant: variants[i] as Variant });
      }
    });
    const aligned = level === 'Accuracy' ? features.search(extractor.extract(pixels, cornersOfQuery)) : [];
    for (const { number, alignment } of aligned) {
      const hashed = found.get(number);
      found.set(number, { stage: 'Features', ...hashed, alignment });
    }
    return found;
  };
  const unknown = skipped.length;
  for (const file of files) {
    await each(folder, file, async (bytes) => {
      const same = byDigest.get(digest(bytes));
      if (same !== undefined) {
        matches.push({ file, against: known[same] as string, stage: 'Exact' });
        return;
      }
      const { frames, of } = await decodeFrames(bytes);
      const best = new Map<number, Found>();
      for (const { index, pixels } of frames) {
        for (const [number, found] of find(pixels)) {
          const before = best.get(number);
          if (!before || nearer(found, before)) best.set(number, { ...found, ...(of > 1 && { frame: index }) });
        }
      }
      for (const [number, found] of best) matches.push({ file, against: known[number] as string, ...found });
    });
  }
  const compared = files.length - (skipped.length - unknown);
  return { matches, skipped, compared, known: known.length - unknown };
}

/** Of two frames, the one whose hash is nearer; where neither's is near, whose corners agree more. */
function nearer(a: Found, b: Found): boolean {
  const [left, right] = [a.distance ?? 256, b.distance ?? 256];
  return left === right ? (a.alignment?.agreeing ?? 0) > (b.alignment?.agreeing ?? 0) : left < right;
}

/** Regular files below a folder, by name; links are not followed. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}
