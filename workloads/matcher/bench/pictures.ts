// Procedural pictures and what is done to them: the same seed is the same picture, in the bench and in its peers.
import sharp, { type Sharp } from 'sharp';

export interface Picture {
  readonly data: Buffer;
  readonly width: number;
  readonly height: number;
}

export type Random = () => number;

/** Uniform in [0, 1), xorshift. */
export function random(seed: number): Random {
  let state = Math.imul(seed + 1, 2_654_435_761) | 1;
  for (let i = 0; i < 8; i++) state = step(state);
  return () => {
    state = step(state);
    return (state >>> 0) / 2 ** 32;
  };
}

function step(state: number): number {
  let next = state;
  next ^= next << 13;
  next ^= next >>> 17;
  return next ^ (next << 5);
}

/** A landscape of smooth noise with shapes of many sizes before it. */
export function picture(seed: number, width = 800, height = 600): Picture {
  const next = random(seed);
  const data = Buffer.alloc(width * height * 3);
  const octaves = [200, 80, 30, 12].map((size, i) => ({
    size: size * (0.7 + 0.6 * next()),
    weight: 1 / (i + 1),
    grid: Float32Array.from({ length: 40 * 40 * 4 }, () => next()),
  }));
  const low = [next() * 160, next() * 160, next() * 160];
  const high = low.map((value) => value + 60 + next() * 90);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let value = 0;
      let total = 0;
      for (const { size, weight, grid } of octaves) {
        value += weight * smooth(grid, x / size, y / size);
        total += weight;
      }
      value /= total;
      for (let c = 0; c < 3; c++) {
        data[3 * (y * width + x) + c] = clamp((low[c] as number) + value * ((high[c] as number) - (low[c] as number)));
      }
    }
  }
  const image = { data, width, height };
  const shapes = 25 + Math.floor(next() * 50);
  for (let i = 0; i < shapes; i++) shape(image, next);
  return image;
}

function smooth(grid: Float32Array, x: number, y: number): number {
  const [x0, y0] = [Math.floor(x), Math.floor(y)];
  const [fx, fy] = [ease(x - x0), ease(y - y0)];
  const at = (i: number, j: number) => grid[((j % 80) * 80 + (i % 80)) % grid.length] as number;
  const upper = at(x0, y0) * (1 - fx) + at(x0 + 1, y0) * fx;
  const lower = at(x0, y0 + 1) * (1 - fx) + at(x0 + 1, y0 + 1) * fx;
  return upper * (1 - fy) + lower * fy;
}

function ease(t: number): number {
  return t * t * (3 - 2 * t);
}

function clamp(value: number): number {
  return Math.max(0, Math.min(255, Math.round(value)));
}

/** An ellipse, a turned rectangle or a triangle, plain, shaded or striped. */
function shape(image: Picture, next: Random): void {
  const kind = Math.floor(next() * 3);
  const [cx, cy] = [next() * image.width, next() * image.height];
  const size = 8 + next() ** 2.5 * image.width * 0.3;
  const [rx, ry] = [size * (0.4 + next()), size * (0.4 + next())];
  const angle = next() * Math.PI;
  const colour = [next() * 255, next() * 255, next() * 255];
  const stripes = next() < 0.3 ? 4 + next() * 14 : 0;
  const shade = next() * 0.7;
  const reach = Math.ceil(1.5 * Math.max(rx, ry));
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  for (let y = Math.max(0, Math.floor(cy - reach)); y < Math.min(image.height, cy + reach); y++) {
    for (let x = Math.max(0, Math.floor(cx - reach)); x < Math.min(image.width, cx + reach); x++) {
      const u = (cos * (x - cx) + sin * (y - cy)) / rx;
      const v = (-sin * (x - cx) + cos * (y - cy)) / ry;
      const inside =
        kind === 0
          ? u * u + v * v < 1
          : kind === 1
            ? Math.abs(u) < 1 && Math.abs(v) < 1
            : v > -0.7 && v < 1 - 2 * Math.abs(u);
      if (!inside || (stripes > 0 && Math.floor((u * rx + 1000) / stripes) % 2 === 0)) continue;
      for (let c = 0; c < 3; c++) {
        image.data[3 * (y * image.width + x) + c] = clamp((colour[c] as number) * (1 - shade * (0.5 + 0.5 * v)));
      }
    }
  }
}

export function asSharp({ data, width, height }: Picture): Sharp {
  return sharp(data, { raw: { width, height, channels: 3 } });
}

export async function fromSharp(image: Sharp): Promise<Picture> {
  const { data, info } = await image.removeAlpha().toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

/** Name → what it does to a picture; the answer is an encoded file, as it would arrive. */
export const transforms: Readonly<Record<string, (from: Picture, next: Random) => Promise<Buffer>>> = {
  'JPEG 90': (from) => asSharp(from).jpeg({ quality: 90 }).toBuffer(),
  'JPEG 30': (from) => asSharp(from).jpeg({ quality: 30 }).toBuffer(),
  'resize to half': (from) =>
    asSharp(from)
      .resize(Math.round(from.width / 2))
      .jpeg({ quality: 85 })
      .toBuffer(),
  'resize to 25 %': (from) =>
    asSharp(from)
      .resize(Math.round(from.width / 4))
      .jpeg({ quality: 85 })
      .toBuffer(),
  'crop to 90 % of each edge': (from, next) => crop(from, next, 0.9),
  'crop to 70 % of each edge (half the area)': (from, next) => crop(from, next, 0.7),
  'crop to 50 % of each edge (a quarter)': (from, next) => crop(from, next, 0.5),
  blur: (from) => asSharp(from).blur(2).jpeg({ quality: 85 }).toBuffer(),
  noise: (from, next) => {
    const data = Buffer.from(from.data);
    for (let i = 0; i < data.length; i++) data[i] = clamp((data[i] as number) + (next() + next() + next() - 1.5) * 50);
    return asSharp({ ...from, data })
      .jpeg({ quality: 85 })
      .toBuffer();
  },
  'text over it': (from, next) => text(from, next),
  'logo over 20 %': (from, next) => logo(from, next),
  'rotate 90': async (from) =>
    asSharp(await fromSharp(asSharp(from).rotate(90)))
      .jpeg({ quality: 85 })
      .toBuffer(),
  mirror: async (from) =>
    asSharp(await fromSharp(asSharp(from).flop()))
      .jpeg({ quality: 85 })
      .toBuffer(),
  'hue turned': (from) => asSharp(from).modulate({ hue: 60 }).jpeg({ quality: 85 }).toBuffer(),
  'brighter, less contrast': (from) => asSharp(from).linear(0.7, 60).jpeg({ quality: 85 }).toBuffer(),
  'screenshot frame': (from, next) => frame(from, next),
};

/** `share` of each edge, anywhere. */
function crop(from: Picture, next: Random, share: number): Promise<Buffer> {
  const [width, height] = [Math.round(from.width * share), Math.round(from.height * share)];
  const left = Math.floor(next() * (from.width - width));
  const top = Math.floor(next() * (from.height - height));
  return asSharp(from).extract({ left, top, width, height }).jpeg({ quality: 85 }).toBuffer();
}

/** Four lines of letters made of strokes, in white with a dark edge. */
async function text(from: Picture, next: Random): Promise<Buffer> {
  const image = { ...from, data: Buffer.from(from.data) };
  const size = Math.round(from.height / 14);
  for (let line = 0; line < 4; line++) {
    const top = Math.round(from.height * (0.15 + 0.2 * line));
    for (let x = Math.round(from.width * 0.08); x < from.width * 0.9; x += Math.round(size * 0.8)) {
      if (next() < 0.15) continue;
      for (let stroke = 0; stroke < 3; stroke++) {
        const vertical = next() < 0.5;
        const at = Math.floor(next() * 3) * Math.round(size / 3.2);
        const thick = Math.max(2, Math.round(size / 8));
        const [w, h] = vertical ? [thick, size] : [Math.round(size * 0.6), thick];
        fill(image, x + (vertical ? Math.round(at * 0.6) : 0), top + (vertical ? 0 : at), w + 2, h + 2, [20, 20, 20]);
        fill(image, x + (vertical ? Math.round(at * 0.6) : 0), top + (vertical ? 0 : at), w, h, [250, 250, 250]);
      }
    }
  }
  return asSharp(image).jpeg({ quality: 85 }).toBuffer();
}

/** An opaque badge with its own drawing over a fifth of the area, anywhere. */
async function logo(from: Picture, next: Random): Promise<Buffer> {
  const image = { ...from, data: Buffer.from(from.data) };
  const [w, h] = [Math.round(from.width * Math.sqrt(0.2)), Math.round(from.height * Math.sqrt(0.2))];
  const badge = picture(Math.floor(next() * 1e6) + 5e6, w, h);
  const left = Math.floor(next() * (from.width - w));
  const top = Math.floor(next() * (from.height - h));
  for (let y = 0; y < h; y++) {
    badge.data.copy(image.data, 3 * ((top + y) * from.width + left), 3 * y * w, 3 * (y + 1) * w);
  }
  return asSharp(image).jpeg({ quality: 85 }).toBuffer();
}

/** The picture in a page: bars above and below, lines that stand for text, the picture at six tenths. */
async function frame(from: Picture, next: Random): Promise<Buffer> {
  const inner = await fromSharp(asSharp(from).resize(Math.round(from.width * 0.6)));
  const width = Math.round(inner.width * 1.3);
  const height = Math.round(inner.height * 1.7);
  const page = { data: Buffer.alloc(width * height * 3, 244), width, height };
  fill(page, 0, 0, width, Math.round(height * 0.08), [40, 60, 110]);
  fill(page, 0, Math.round(height * 0.94), width, Math.round(height * 0.06), [225, 225, 230]);
  const left = Math.round((width - inner.width) * next());
  const top = Math.round(height * 0.12);
  for (let y = 0; y < inner.height; y++) {
    inner.data.copy(page.data, 3 * ((top + y) * width + left), 3 * y * inner.width, 3 * (y + 1) * inner.width);
  }
  for (let y = top + inner.height + 12; y < height * 0.92; y += 14) {
    for (let x = 12; x < width - 40; x += 10)
      if (next() < 0.8) fill(page, x, y, 3 + next() * 5, 2 + next() * 5, [70, 70, 75]);
  }
  return asSharp(page).png().toBuffer();
}

function fill(image: Picture, left: number, top: number, width: number, height: number, colour: number[]): void {
  for (let y = Math.max(0, Math.floor(top)); y < Math.min(image.height, top + height); y++) {
    for (let x = Math.max(0, Math.floor(left)); x < Math.min(image.width, left + width); x++) {
      for (let c = 0; c < 3; c++) image.data[3 * (y * image.width + x) + c] = colour[c] as number;
    }
  }
}
