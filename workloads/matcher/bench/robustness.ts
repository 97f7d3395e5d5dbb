// What is still found after a picture was changed, at zero false positives, by level and beside pdqhash and phash.
// Pictures are procedural: they say how the methods compare, not what recall on photographs is.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Row, row } from '../../runtime/src/bench/table.ts';
import { FeatureExtractor } from '../src/features/extract.ts';
import { FeatureIndex } from '../src/features/feature-index.ts';
import { decode } from '../src/image/decode.ts';
import { HashIndex } from '../src/index/hash-index.ts';
import { distance, PdqHasher, type Pixels, parseHash } from '../src/pdq/pdq.ts';
import { peer } from './peers.ts';
import { asSharp, type Picture, picture, random, transforms } from './pictures.ts';

interface PeerHash {
  pdq: string;
  phash: string;
}

/** pHash has 64 bits; ten is the distance its users know. */
const phashDistance = 10;

export async function robustness(quick: boolean): Promise<Row[]> {
  const count = quick ? 10 : 60;
  const pictures = Array.from({ length: count }, (_, i) => picture(i));
  const originals = await Promise.all(pictures.map((each) => asSharp(each).jpeg({ quality: 92 }).toBuffer()));
  const [hasher, extractor] = [new PdqHasher(), new FeatureExtractor()];
  const [hashes, features] = [new HashIndex(), new FeatureIndex()];
  for (const [number, file] of originals.entries()) {
    const { pixels } = await decode(file);
    hashes.add({ number, hash: hasher.hash(pixels).hash, bank: 0, flags: 0 });
    features.add(number, extractor.extract(pixels, 300));
  }
  await features.settle();
  const known = await peerHashes(originals);
  const rows: Row[] = [];
  let falseAlarms = 0;
  const times = { Speed: 0, Balanced: 0, Accuracy: 0 };
  for (const [name, change] of Object.entries(transforms)) {
    const files = await Promise.all(pictures.map((each, i) => change(each, random(i + 77))));
    const theirs = await peerHashes(files);
    const right = { Speed: 0, Balanced: 0, Accuracy: 0 };
    for (const [number, file] of files.entries()) {
      const { pixels } = await decode(file);
      const found = findings(pixels, hasher, extractor, hashes, features, times);
      for (const level of ['Speed', 'Balanced', 'Accuracy'] as const) {
        if (found[level].has(number)) right[level]++;
        falseAlarms += [...found[level]].filter((each) => each !== number).length;
      }
    }
    const share = (isRight: (each: PeerHash, i: number) => boolean) => (100 * theirs.filter(isRight).length) / count;
    const peers = {
      pdqhash: share((each, i) => distance(parseHash(each.pdq), parseHash((known[i] as PeerHash).pdq)) <= 31),
      phash: share((each, i) => differing(each.phash, (known[i] as PeerHash).phash) <= phashDistance),
    };
    for (const level of ['Accuracy', 'Balanced', 'Speed'] as const) {
      const must = level === 'Accuracy' && /crop|frame|logo/.test(name);
      rows.push(
        row(
          {
            bench: 'matcher',
            case: name,
            size: `${count} procedural`,
            metric: `recall at ${level}`,
            unit: '%',
            better: 'higher',
            ours: (100 * right[level]) / count,
            peers,
          },
          must ? { absolute: 90 } : {},
        ),
      );
    }
  }
  falseAlarms += await strangers(count, hasher, extractor, hashes, features, times);
  const asked = count * (Object.keys(transforms).length + 1);
  const base = { bench: 'matcher', size: `${asked} queries`, better: 'lower' } as const;
  rows.push(
    row(
      { ...base, case: 'false positives, all levels', metric: 'matches', unit: '', ours: falseAlarms, peers: {} },
      { absolute: 0 },
    ),
  );
  for (const level of ['Speed', 'Balanced', 'Accuracy'] as const) {
    rows.push(
      row({
        ...base,
        case: `hash and search at level ${level}`,
        metric: 'mean',
        unit: 'ms',
        ours: times[level] / asked,
        peers: {},
      }),
    );
  }
  rows.push(
    row({
      ...base,
      size: `${count} items`,
      case: 'memory of local features',
      metric: 'an item',
      unit: 'bytes',
      ours: features.bytes / count,
      peers: {},
    }),
  );
  return rows;
}

function findings(
  pixels: Pixels & { readonly channels: 3 },
  hasher: PdqHasher,
  extractor: FeatureExtractor,
  hashes: HashIndex,
  features: FeatureIndex,
  times: Record<'Speed' | 'Balanced' | 'Accuracy', number>,
) {
  const begun = performance.now();
  const speed = new Set(hashes.search(hasher.hash(pixels).hash, 31).map(({ number }) => number));
  const first = performance.now();
  const turned = hasher.dihedral(pixels).hashes.flatMap((hash) => hashes.search(hash, 31));
  const balanced = new Set(turned.map(({ number }) => number));
  const second = performance.now();
  const aligned = features.search(extractor.extract(pixels, 500)).map(({ number }) => number);
  const third = performance.now();
  times.Speed += first - begun;
  times.Balanced += second - first;
  times.Accuracy += third - first;
  return { Speed: speed, Balanced: balanced, Accuracy: new Set([...balanced, ...aligned]) };
}

/** Pictures that were never registered. */
async function strangers(
  count: number,
  ...rest: [PdqHasher, FeatureExtractor, HashIndex, FeatureIndex, Record<'Speed' | 'Balanced' | 'Accuracy', number>]
) {
  let found = 0;
  for (let i = 0; i < count; i++) {
    const { pixels } = await decode(
      await asSharp(picture(1_000_000 + i) satisfies Picture)
        .jpeg()
        .toBuffer(),
    );
    found += findings(pixels, ...rest).Accuracy.size;
  }
  return found;
}

async function peerHashes(files: readonly Buffer[]): Promise<PeerHash[]> {
  const directory = await mkdtemp(join(tmpdir(), 'quintet-bench-'));
  try {
    const paths = files.map((_, i) => join(directory, `${i}.image`));
    for (const [i, file] of files.entries()) await writeFile(paths[i] as string, file);
    return await peer<PeerHash[]>('robustness.py', [], paths.join('\n'));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function differing(a: string, b: string): number {
  let count = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) count++;
  return count;
}
