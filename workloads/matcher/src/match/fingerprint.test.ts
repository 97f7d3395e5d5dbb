import sharp from 'sharp';
import { expect, test } from 'vitest';
import { animationOf } from '../testing/animation.ts';
import { picture } from '../testing/picture.ts';
import { Fingerprinter } from './fingerprint.ts';

const options = { minQuality: 50, dihedral: true, crops: false };

async function clip(seed: number, frames: number): Promise<Buffer> {
  const pictures = Array.from({ length: frames }, async (_, i) =>
    sharp(await picture(seed + i))
      .resize(200)
      .png()
      .toBuffer(),
  );
  return await animationOf('APNG', await Promise.all(pictures));
}

test('a still waits for none but the animations that are worked on, however many there are', async () => {
  const fingerprints = new Fingerprinter(options);
  const file = await clip(0, 6);
  const still = await picture(99);
  const done: string[] = [];
  const moving = [1, 2, 3, 4, 5, 6].map(async () => {
    await fingerprints.of(file, 'Balanced');
    done.push('animation');
  });
  await fingerprints.of(still, 'Balanced');
  done.push('still');
  await Promise.all(moving);
  expect(done).toHaveLength(7);
  expect(done.indexOf('still')).toBeLessThan(3);
});

test('who leaves while an animation waits for its turn is not worked for', async () => {
  const fingerprints = new Fingerprinter(options);
  const file = await clip(0, 3);
  const caller = new AbortController();
  const moving = [0, 1, 2, 3].map(async () => await fingerprints.of(file, 'Balanced'));
  const left = fingerprints.of(file, 'Balanced', caller.signal);
  caller.abort();
  await expect(left).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(new Set((await Promise.all(moving)).map(({ hashes }) => hashes[0])).size).toBe(1);
});

test('of an animation the first frame is registered that says something, else the one that says most', async () => {
  const fingerprints = new Fingerprinter(options);
  const describe = async (file: Buffer) => await fingerprints.describe(file);
  const flat = async (background: string) =>
    await sharp({ create: { width: 560, height: 420, channels: 3, background } })
      .png()
      .toBuffer();
  const [a, b] = [await picture(1), await picture(2)];
  const still = (await describe(a)).item;
  expect(await describe(await animationOf('APNG', [a, b]))).toMatchObject({
    frame: { index: 0, of: 2 },
    item: { hash: still.hash, quality: still.quality },
  });
  expect(await describe(await animationOf('APNG', [await flat('#fff'), a, b]))).toMatchObject({
    frame: { index: 1, of: 3 },
    item: { hash: still.hash },
  });
  expect((await describe(await animationOf('APNG', [await flat('#fff'), await flat('#000')]))).frame?.index).toBe(0);
  expect(await describe(a)).not.toHaveProperty('frame');
});
