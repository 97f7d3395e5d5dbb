// Pairs that the scores of verdicts are fitted to: what share of those that measure so much is the same.
import sharp from 'sharp';
import { distance, PdqHasher } from '../src/pdq/pdq.ts';
import { nameSimilarity } from '../src/profile/similarity.ts';
import { namePairs } from './names.ts';
import { fromSharp, type Picture, picture, type Random, random, transforms } from './pictures.ts';

export interface Measured {
  readonly measure: number;
  readonly same: boolean;
}

export function profilePairs(count: number, seed: number): Measured[] {
  return namePairs(count, random(seed)).map(({ a, b, same }) => ({ measure: nameSimilarity(a, b), same }));
}

/** Half are a picture and a change of it, half a picture and one that has from 30 to 70 % of its area from elsewhere. */
export async function hashPairs(count: number, seed: number): Promise<Measured[]> {
  const next = random(seed);
  const hasher = new PdqHasher();
  const changes = Object.values(transforms);
  const pairs: Measured[] = [];
  for (let i = 0; i < count; i++) {
    const one = picture(Math.floor(next() * 1e9), width, height);
    const same = next() < 0.5;
    const other = same
      ? await decoded(await (changes[Math.floor(next() * changes.length)] as Change)(one, next))
      : patched(one, picture(Math.floor(next() * 1e9), width, height), next);
    pairs.push({ measure: distance(hashOf(hasher, one), hashOf(hasher, other)), same });
  }
  return pairs;
}

/** Log odds of the same in steps of the measure, for the tables in `match/calibration.ts`. */
export function fitted(pairs: readonly Measured[], step: number, from: number, to: number): string[] {
  const lines: string[] = [];
  for (let low = from; low < to; low += step) {
    const inside = pairs.filter(({ measure }) => measure >= low && measure < low + step);
    const right = inside.filter(({ same }) => same).length;
    // One half of each more: no step is certain.
    const odds = Math.log((right + 0.5) / (inside.length - right + 0.5));
    lines.push(`${(low + step / 2).toFixed(3)} ${odds.toFixed(2)} (${right} of ${inside.length})`);
  }
  return lines;
}

type Change = (from: Picture, next: Random) => Promise<Buffer>;

const [width, height] = [240, 180];

function hashOf(hasher: PdqHasher, { data, width: wide, height: high }: Picture): Uint8Array {
  return hasher.hash({ data, width: wide, height: high, channels: 3 }).hash;
}

async function decoded(file: Buffer): Promise<Picture> {
  return await fromSharp(sharp(file));
}

function patched(one: Picture, from: Picture, next: Random): Picture {
  const area = 0.3 + 0.4 * next();
  const [w, h] = [Math.round(width * Math.sqrt(area)), Math.round(height * Math.sqrt(area))];
  const [left, top] = [Math.floor(next() * (width - w)), Math.floor(next() * (height - h))];
  const data = Buffer.from(one.data);
  for (let y = top; y < top + h; y++) {
    from.data.copy(data, 3 * (y * width + left), 3 * (y * width + left), 3 * (y * width + left + w));
  }
  return { data, width, height };
}
