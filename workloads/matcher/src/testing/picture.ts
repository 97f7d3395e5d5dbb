// Pictures for tests.
import sharp from 'sharp';

/** Blocks, discs and waves, different for each seed; the same seed gives the same bytes. */
export async function picture(seed: number): Promise<Buffer> {
  const [width, height] = [560, 420];
  const data = Buffer.alloc(width * height * 3);
  let state = Math.imul(seed + 1, 2_654_435_761) | 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < data.length; i++) data[i] = 110 + 60 * Math.sin(Math.floor(i / 3 / width) / 40 + seed + (i % 3));
  for (let shape = 0; shape < 70; shape++) {
    const [x, y, w, h] = [next() * width, next() * height, 8 + next() * 90, 8 + next() * 70];
    const colour = [next() * 255, next() * 255, next() * 255];
    const round = next() < 0.4;
    for (let j = Math.floor(y); j < Math.min(height, y + h); j++) {
      for (let i = Math.floor(x); i < Math.min(width, x + w); i++) {
        const [u, v] = [(2 * (i - x)) / w - 1, (2 * (j - y)) / h - 1];
        if (round && u * u + v * v > 1) continue;
        for (let c = 0; c < 3; c++) data[3 * (j * width + i) + c] = colour[c] as number;
      }
    }
  }
  return await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}
