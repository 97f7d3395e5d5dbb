import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { animationOf } from '../testing/animation.ts';
import { matchFolders } from './folders.ts';

test('images of a folder are found among those of another, and what is no image is named', async () => {
  const root = await mkdtemp(join(tmpdir(), 'quintet-folders-'));
  try {
    const [ours, theirs] = [join(root, 'ours'), join(root, 'theirs')];
    await mkdir(join(ours, 'deep'), { recursive: true });
    await mkdir(theirs);
    await writeFile(join(theirs, 'a.png'), await picture(1).png().toBuffer());
    await writeFile(join(theirs, 'b.png'), await picture(2).png().toBuffer());
    await writeFile(join(ours, 'same.png'), await picture(1).png().toBuffer());
    await writeFile(join(ours, 'deep', 'again.jpg'), await picture(2).jpeg({ quality: 60 }).toBuffer());
    await writeFile(join(ours, 'other.png'), await picture(3).png().toBuffer());
    await writeFile(join(ours, 'notes.txt'), 'no image');
    const { matches, skipped, compared, known } = await matchFolders(ours, theirs);
    expect([compared, known]).toEqual([3, 2]);
    expect(matches).toMatchObject([
      { file: join('deep', 'again.jpg'), against: 'b.png', stage: 'Hash', variant: 'Original' },
      { file: 'same.png', against: 'a.png', stage: 'Exact' },
    ]);
    expect(skipped).toMatchObject([{ file: join(ours, 'notes.txt') }]);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});

test('a picture that an animation shows later is found in it, and the frame named', async () => {
  const root = await mkdtemp(join(tmpdir(), 'quintet-folders-'));
  try {
    const [ours, theirs] = [join(root, 'ours'), join(root, 'theirs')];
    await mkdir(ours);
    await mkdir(theirs);
    const flat = await sharp({ create: { width: 320, height: 240, channels: 3, background: '#fff' } })
      .png()
      .toBuffer();
    const known = await picture(1).png().toBuffer();
    await writeFile(join(theirs, 'a.png'), known);
    await writeFile(join(theirs, 'b.gif'), await animationOf('GIF', [flat, await picture(2).png().toBuffer()]));
    await writeFile(
      join(ours, 'moves.gif'),
      await animationOf('GIF', [flat, await picture(3).png().toBuffer(), known]),
    );
    await writeFile(join(ours, 'still.webp'), await picture(2).webp().toBuffer());
    const { matches } = await matchFolders(ours, theirs);
    expect(matches).toMatchObject([
      { file: 'moves.gif', against: 'a.png', stage: 'Hash', frame: 2 },
      { file: 'still.webp', against: 'b.gif', stage: 'Hash' },
    ]);
    expect(matches[1]).not.toHaveProperty('frame');
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});

function picture(seed: number) {
  const [width, height] = [320, 240];
  const data = Buffer.alloc(width * height * 3);
  for (let i = 0; i < data.length; i++) {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    const block = Math.imul((x >> 5) * 73 + (y >> 5) * 151 + seed * 977, 2_654_435_761) >>> 24;
    data[i] = (block * 0.7 + 60 * Math.sin((x * seed) / 30 + y / 11)) & 255;
  }
  return sharp(data, { raw: { width, height, channels: 3 } });
}
