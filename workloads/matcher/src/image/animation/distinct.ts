// Which frames are worth judging: those that differ most from each other. Frames at even distances would miss a picture
// that is shown between two of them.

/** Cells of a sketch in a row, and points of each cell in a row. */
const cells = 24;
const points = 3;
/** Contrast, of 255, that is taken for as much as any: less is noise on a plain frame, and is not made larger. */
const fewestContrast = 12;
/** Mean difference, in standard deviations, below which two frames are one to the eye. */
const alike = 0.03;

/** Brightness of a coarse grid, as a hash sees it: around its mean, by its contrast. So plain frames are all the same. */
export type Sketch = Float64Array;

interface Kept<T> {
  readonly index: number;
  readonly sketch: Sketch;
  readonly frame: T;
}

export class Distinct<T> {
  readonly #most: number;
  #kept: Kept<T>[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** By their place in the file; the first that was offered is always among them. */
  get kept(): { index: number; frame: T }[] {
    return this.#kept.map(({ index, frame }) => ({ index, frame }));
  }

  /** Whether a frame differs enough to take the place of one that differs less. */
  wants(sketch: Sketch): boolean {
    const nearest = Math.min(...this.#kept.map((each) => difference(each.sketch, sketch)));
    if (nearest < alike) return false;
    return this.#kept.length < this.#most || nearest > this.#mostAlike().apart;
  }

  keep(index: number, sketch: Sketch, frame: T): void {
    if (this.#kept.length === this.#most) this.#kept.splice(this.#mostAlike().later, 1);
    this.#kept.push({ index, sketch, frame });
  }

  #mostAlike(): { later: number; apart: number } {
    let found = { later: this.#kept.length - 1, apart: Number.POSITIVE_INFINITY };
    for (const [later, { sketch }] of this.#kept.entries()) {
      for (const earlier of this.#kept.slice(0, later)) {
        const apart = difference(earlier.sketch, sketch);
        if (apart < found.apart) found = { later, apart };
      }
    }
    return found;
  }
}

/** On white. @param channels Three, or four with alpha. */
export function sketchOf(
  { data, width, height }: { readonly data: Uint8Array; readonly width: number; readonly height: number },
  channels: 3 | 4,
): Sketch {
  const grid = new Float64Array(cells * cells);
  const side = cells * points;
  for (let row = 0; row < side; row++) {
    const y = Math.floor(((row + 0.5) * height) / side);
    for (let column = 0; column < side; column++) {
      const x = Math.floor(((column + 0.5) * width) / side);
      const at = channels * (y * width + x);
      const grey = ((data[at] as number) * 77 + (data[at + 1] as number) * 150 + (data[at + 2] as number) * 29) / 256;
      const alpha = channels === 4 ? (data[at + 3] as number) / 255 : 1;
      const cell = Math.floor(row / points) * cells + Math.floor(column / points);
      grid[cell] = (grid[cell] as number) + (grey * alpha + 255 * (1 - alpha)) / points ** 2;
    }
  }
  const mean = grid.reduce((sum, each) => sum + each, 0) / grid.length;
  const contrast = Math.sqrt(grid.reduce((sum, each) => sum + (each - mean) ** 2, 0) / grid.length);
  return grid.map((each) => (each - mean) / Math.max(contrast, fewestContrast));
}

function difference(a: Sketch, b: Sketch): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs((a[i] as number) - (b[i] as number));
  return sum / a.length;
}
