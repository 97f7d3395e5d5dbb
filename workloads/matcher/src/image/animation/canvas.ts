// An animation as it is seen: each part drawn over what those before it left.
import type { Part } from './part.ts';

/** As a decoder gives it: rows of pixels, one to four bytes each (grey, with alpha, colour, with alpha). */
export interface Drawing {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

type Box = Pick<Part, 'x' | 'y' | 'width' | 'height'>;

export class Canvas {
  readonly width: number;
  readonly height: number;
  /** Four bytes a pixel, transparent at first; colours are not multiplied by their alpha. */
  readonly data: Buffer;
  #dispose: (() => void) | undefined;

  constructor({ width, height }: { readonly width: number; readonly height: number }) {
    this.width = width;
    this.height = height;
    this.data = Buffer.alloc(4 * width * height);
  }

  draw(part: Part, drawing: Drawing): void {
    this.#dispose?.();
    const box = {
      x: part.x,
      y: part.y,
      width: Math.max(0, Math.min(part.width, drawing.width, this.width - part.x)),
      height: Math.max(0, Math.min(part.height, drawing.height, this.height - part.y)),
    };
    const before = part.dispose === 'Restore' ? this.#rows(box).map((row) => Buffer.from(row)) : undefined;
    const channels = drawing.data.length / (drawing.width * drawing.height);
    const put = part.blend === 'Over' && channels % 2 === 0 ? over : replace;
    for (const [y, row] of this.#rows(box).entries()) {
      put(row, drawing.data.subarray(y * drawing.width * channels), channels);
    }
    this.#dispose =
      part.dispose === 'Keep'
        ? undefined
        : () => {
            for (const [y, row] of this.#rows(box).entries()) row.set(before?.[y] ?? new Uint8Array(row.length));
          };
  }

  #rows({ x, y, width, height }: Box): Buffer[] {
    return Array.from({ length: width > 0 ? height : 0 }, (_, row) => {
      const from = 4 * ((y + row) * this.width + x);
      return this.data.subarray(from, from + 4 * width);
    });
  }
}

function replace(to: Uint8Array, from: Uint8Array, channels: number): void {
  if (channels === 4) {
    to.set(from.subarray(0, to.length));
    return;
  }
  for (let at = 0, source = 0; at < to.length; at += 4, source += channels) {
    for (let c = 0; c < 3; c++) to[at + c] = from[source + (channels > 2 ? c : 0)] as number;
    to[at + 3] = channels === 2 ? (from[source + 1] as number) : 255;
  }
}

/** Porter and Duff's, of colours that are not multiplied. */
function over(to: Uint8Array, from: Uint8Array, channels: number): void {
  for (let at = 0, source = 0; at < to.length; at += 4, source += channels) {
    const alpha = from[source + channels - 1] as number;
    if (alpha === 0) continue;
    const below = ((to[at + 3] as number) * (255 - alpha)) / 255;
    const sum = alpha + below;
    for (let c = 0; c < 3; c++) {
      const above = from[source + (channels > 2 ? c : 0)] as number;
      to[at + c] = Math.round((above * alpha + (to[at + c] as number) * below) / sum);
    }
    to[at + 3] = Math.round(sum);
  }
}
