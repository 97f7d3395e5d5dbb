// A picture of opaque pixels with rectangles, lines, circles and text, and its PNG file.
import { crc32, deflateSync, inflateSync } from 'node:zlib';
import { advances, characters, glyphHeight, strip } from './font.ts';

export type Color = readonly [number, number, number];

const glyphs = unpackGlyphs();

export class Canvas {
  readonly width: number;
  readonly height: number;
  readonly #pixels: Uint8Array;

  constructor(width: number, height: number, background: Color) {
    this.width = width;
    this.height = height;
    this.#pixels = new Uint8Array(width * height * 3);
    this.fill(0, 0, width, height, background);
  }

  set(x: number, y: number, color: Color): void {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return;
    const at = 3 * (y * this.width + x);
    this.#pixels[at] = color[0];
    this.#pixels[at + 1] = color[1];
    this.#pixels[at + 2] = color[2];
  }

  /** Mixes a color in. @param part 0 leaves what is there, 1 replaces it. */
  blend(x: number, y: number, color: Color, part: number): void {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return;
    const at = 3 * (y * this.width + x);
    for (let c = 0; c < 3; c++) {
      const old = this.#pixels[at + c]!;
      this.#pixels[at + c] = Math.round(old + (color[c]! - old) * part);
    }
  }

  fill(x: number, y: number, width: number, height: number, color: Color): void {
    for (let row = y; row < y + height; row++) for (let col = x; col < x + width; col++) this.set(col, row, color);
  }

  frame(x: number, y: number, width: number, height: number, color: Color): void {
    this.fill(x, y, width, 1, color);
    this.fill(x, y + height - 1, width, 1, color);
    this.fill(x, y, 1, height, color);
    this.fill(x + width - 1, y, 1, height, color);
  }

  /** A smooth ring. */
  circle(cx: number, cy: number, radius: number, thickness: number, color: Color): void {
    const reach = Math.ceil(radius + thickness);
    for (let dy = -reach; dy <= reach; dy++) {
      for (let dx = -reach; dx <= reach; dx++) {
        const off = Math.abs(Math.hypot(dx, dy) - radius) - thickness / 2;
        if (off < 0.5) this.blend(Math.round(cx) + dx, Math.round(cy) + dy, color, Math.min(1, 0.5 - off));
      }
    }
  }

  /** Text whose left, middle or right end is at x, its top at y. Characters without a glyph are left blank. */
  text(x: number, y: number, text: string, color: Color, align: 'left' | 'center' | 'right' = 'left'): void {
    const width = textWidth(text);
    let at = Math.round(x - (align === 'center' ? width / 2 : align === 'right' ? width : 0));
    for (const character of text) {
      const glyph = glyphs.get(character);
      if (!glyph) {
        at += 4;
        continue;
      }
      for (let row = 0; row < glyphHeight; row++) {
        for (let col = 0; col < glyph.width; col++) {
          const part = glyph.coverage[row * glyph.width + col]!;
          if (part > 0) this.blend(at + col, Math.round(y) + row, color, part);
        }
      }
      at += glyph.width;
    }
  }

  /** PNG (ISO/IEC 15948), eight bits a channel, each row as differences to the one above. */
  png(): Buffer {
    const stride = this.width * 3;
    const filtered = new Uint8Array((stride + 1) * this.height);
    for (let row = 0; row < this.height; row++) {
      const to = row * (stride + 1);
      filtered[to] = 2;
      for (let i = 0; i < stride; i++) {
        const above = row > 0 ? this.#pixels[(row - 1) * stride + i]! : 0;
        filtered[to + 1 + i] = this.#pixels[row * stride + i]! - above;
      }
    }
    const header = Buffer.alloc(13);
    header.writeUInt32BE(this.width, 0);
    header.writeUInt32BE(this.height, 4);
    header.set([8, 2, 0, 0, 0], 8);
    return Buffer.concat([
      Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]),
      section('IHDR', header),
      section('IDAT', deflateSync(filtered, { level: 3 })),
      section('IEND', Buffer.alloc(0)),
    ]);
  }
}

export function textWidth(text: string): number {
  return Array.from(text).reduce((sum, character) => sum + (glyphs.get(character)?.width ?? 4), 0);
}

export const textHeight: number = glyphHeight;

function section(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const whole = Buffer.alloc(body.length + 8);
  whole.writeUInt32BE(data.length, 0);
  whole.set(body, 4);
  whole.writeUInt32BE(crc32(body), body.length + 4);
  return whole;
}

function unpackGlyphs(): Map<string, { width: number; coverage: Float32Array }> {
  const packed = inflateSync(Buffer.from(strip, 'base64'));
  const total = advances.reduce((sum, width) => sum + width, 0);
  let left = 0;
  return new Map(
    Array.from(characters, (character, i) => {
      const width = advances[i]!;
      const from = left;
      left += width;
      const coverage = Float32Array.from({ length: width * glyphHeight }, (_, n) => {
        const pixel = Math.floor(n / width) * total + from + (n % width);
        const byte = packed[pixel >> 1]!;
        return (pixel & 1 ? byte & 15 : byte >> 4) / 15;
      });
      return [character, { width, coverage }];
    }),
  );
}
