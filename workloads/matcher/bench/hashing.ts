// PDQ: equal to pdqhash bit for bit on generated buffers and decoded pictures, and how fast, on the same buffers.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Row, row } from '../../runtime/src/bench/table.ts';
import { decode } from '../src/image/decode.ts';
import { formatHash, PdqHasher, type Pixels } from '../src/pdq/pdq.ts';
import { peer } from './peers.ts';
import { asSharp, picture, random } from './pictures.ts';

export async function hashing(quick: boolean): Promise<Row[]> {
  const directory = await mkdtemp(join(tmpdir(), 'quintet-bench-'));
  try {
    const decoded = await Promise.all(
      Array.from(
        { length: quick ? 8 : 40 },
        async (_, i) => (await decode(await asSharp(picture(i)).jpeg().toBuffer())).pixels,
      ),
    );
    const buffers = [...Array.from({ length: quick ? 150 : 2000 }, (_, i) => generated(i)), ...decoded];
    const exactness = await compare(directory, buffers);
    const same = Array.from({ length: quick ? 40 : 200 }, (_, i) => generated(i, 512, 384));
    const speed = await compare(directory, same);
    return [
      row(
        {
          bench: 'matcher',
          case: 'PDQ equal to pdqhash, hash and quality',
          size: `${buffers.length} buffers`,
          metric: 'equal',
          unit: '%',
          better: 'higher',
          ours: (100 * exactness.equal) / buffers.length,
          peers: {},
        },
        { absolute: 100 },
      ),
      row(
        {
          bench: 'matcher',
          case: 'PDQ from RGB buffers',
          size: `${same.length} of 512×384`,
          metric: 'hashed',
          unit: 'images/s',
          better: 'higher',
          ours: speed.ours,
          peers: { pdqhash: speed.theirs },
        },
        { ratio: 1.5 },
      ),
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function compare(directory: string, buffers: readonly Pixels[]) {
  const file = join(directory, 'buffers');
  await writeFile(
    file,
    buffers.flatMap(({ data, width, height }) => {
      const head = Buffer.alloc(8);
      head.writeUInt32LE(width, 0);
      head.writeUInt32LE(height, 4);
      return [head, data];
    }),
  );
  const theirs = await peer<{ hashes: [string, number][]; perSecond: number }>('pdq.py', [file]);
  const hasher = new PdqHasher();
  for (const pixels of buffers.slice(0, 50)) hasher.hash(pixels);
  let equal = 0;
  let time = 0;
  buffers.forEach((pixels, i) => {
    const begun = performance.now();
    const { hash, quality } = hasher.hash(pixels);
    time += performance.now() - begun;
    const [theirHash, theirQuality] = theirs.hashes[i] as [string, number];
    if (formatHash(hash) === theirHash && quality === theirQuality) equal++;
  });
  return { equal, ours: buffers.length / (time / 1000), theirs: theirs.perSecond };
}

/** Noise, waves, blocks or a random walk of any size from 5 to 300. */
function generated(seed: number, w?: number, h?: number): Pixels {
  const next = random(seed);
  const [width, height] = [w ?? 5 + Math.floor(next() * 296), h ?? 5 + Math.floor(next() * 296)];
  const data = new Uint8Array(width * height * 3);
  const [a, b] = [3 + next() * 40, 3 + next() * 40];
  const blocks = Uint8Array.from({ length: 192 }, () => next() * 256);
  let walk = 128;
  for (let i = 0; i < data.length; i++) {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    walk = Math.max(0, Math.min(255, walk + (next() - 0.5) * 12));
    const block = blocks[24 * Math.floor((8 * y) / height) + 3 * Math.floor((8 * x) / width) + (i % 3)] as number;
    data[i] = [next() * 256, 128 + 120 * Math.sin(x / a + (i % 3)) * Math.cos(y / b), block, walk][seed % 4] as number;
  }
  return { data, width, height, channels: 3 };
}
