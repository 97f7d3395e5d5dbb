// Which frames are worth judging: those that differ most from each other. Frames at even distances would miss a picture
// that is shown between two of them.

/** Cells of a sketch in a row, and points of each cell in a row. */
const cells = 24;
const points = 3;
/** Mean difference, of 255, below which two frames are one to the eye. */
const alike = 2;

interface Kept<T> {
  readonly index: number;
  readonly sketch: Uint8Array;
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
  wants(sketch: Uint8Array): boolean {
    const nearest = Math.min(...this.#kept.map((each) => difference(each.sketch, sketch)));
    if (nearest < alike) return false;
    return this.#kept.length < this.#most || nearest > this.#mostAlike().apart;
  }

  keep(index: number, sketch: Uint8Array, frame: T): void {
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

/** Mean colours of a coarse grid, on white. @param channels Three, or four with alpha. */
export function sketchOf(
  { data, width, height }: { readonly data: Uint8Array; readonly width: number; readonly height: number },
  channels: 3 | 4,
): Uint8Array {
  const sums = new Float64Array(cells * cells * 3);
  const side = cells * points;
  for (let row = 0; row < side; row++) {
    const y = Math.floor(((row + 0.5) * height) / side);
    for (let column = 0; column < side; column++) {
      const x = Math.floor(((column + 0.5) * width) / side);
      const at = channels * (y * width + x);
      const alpha = channels === 4 ? (data[at + 3] as number) / 255 : 1;
      const cell = 3 * (Math.floor(row / points) * cells + Math.floor(column / points));
      for (let c = 0; c < 3; c++) {
        sums[cell + c] = (sums[cell + c] as number) + (data[at + c] as number) * alpha + 255 * (1 - alpha);
      }
    }
  }
  return Uint8Array.from(sums, (sum) => sum / points ** 2);
}

function difference(a: Uint8Array, b: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs((a[i] as number) - (b[i] as number));
  return sum / a.length;
}
