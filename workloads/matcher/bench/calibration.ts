// Pairs that the scores of verdicts are fitted to: what share of those that measure so much is the same.
import sharp from 'sharp';
import { type Row, row } from '../../runtime/src/bench/table.ts';
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
async function hashPairs(count: number, seed: number): Promise<Measured[]> {
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

/** Log odds of the same by what was measured: where they leave the curves in `match/calibration.ts`, those are to be fitted anew. */
export async function calibration(quick: boolean): Promise<Row[]> {
  const names = profilePairs(quick ? 20_000 : 200_000, 1);
  const pictures = await hashPairs(quick ? 40 : 4000, 1);
  return [
    ...oddsBy('names of similarity', names, { from: 0.81, to: 1, step: 0.02 }),
    ...oddsBy('hashes of distance', pictures, { from: 0, to: 64, step: 8 }),
  ];
}

function oddsBy(what: string, pairs: readonly Measured[], { from, to, step }: Record<'from' | 'to' | 'step', number>) {
  const rows: Row[] = [];
  for (let low = from; low < to; low += step) {
    const inside = pairs.filter(({ measure }) => measure >= low && measure < low + step);
    const same = inside.filter((pair) => pair.same).length;
    rows.push(
      row({
        bench: 'matcher',
        case: `${what} ${Number(low.toFixed(2))} to ${Number((low + step).toFixed(2))}`,
        size: `${inside.length} pairs`,
        metric: 'log odds of the same',
        unit: '',
        better: 'higher',
        // One half of each more: no step is certain.
        ours: Math.log((same + 0.5) / (inside.length - same + 0.5)),
        peers: {},
      }),
    );
  }
  return rows;
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
