// What the containers of animations have in common.

/** One step of an animation. */
export interface Part {
  /** Where it is drawn, in pixels of the canvas. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** `Over` lets show through what was there where it is transparent; `Source` replaces it. */
  readonly blend: 'Over' | 'Source';
  /** What becomes of its place before the next one: kept, cleared, or as it was before. */
  readonly dispose: 'Keep' | 'Clear' | 'Restore';
  /** The part as a still image of its own, of the same format. */
  readonly still: () => Buffer;
}

/** The canvas, and what is drawn on it in turn. */
export interface Animation {
  readonly width: number;
  readonly height: number;
  readonly parts: readonly Part[];
}

/** Parts or pages that are looked for: a file of 20 MiB has room for a million empty ones. */
export const mostParts = 10_000;
