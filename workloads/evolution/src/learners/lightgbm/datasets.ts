// Binned matrices in LightGBM's own memory, kept for further learners on the same rows: what they take is bounded, and none that is in use is freed.

export interface KeptDataset {
  readonly handle: bigint;
  readonly bytes: number;
  users: number;
  dropped: boolean;
}

/** What LightGBM keeps of a matrix: a bin of a byte for each cell, and for linear trees the number itself. */
export function datasetBytes({ rows, columns }: { rows: number; columns: number }, linear: boolean): number {
  return rows * columns * (linear ? 5 : 1);
}

export class Datasets {
  readonly #most: number;
  readonly #free: (handle: bigint) => void;
  readonly #kept = new Map<string, KeptDataset>();

  /** @param most Bytes of all that are kept; the latest is kept in any case */
  constructor(most: number, free: (handle: bigint) => void) {
    this.#most = most;
    this.#free = free;
  }

  /** The one of that key, or a new one; without a key it is kept for nobody else. Every one taken is to be given back. */
  take(key: string | undefined, bytes: number, make: () => bigint): KeptDataset {
    const known = key === undefined ? undefined : this.#kept.get(key);
    if (key !== undefined && known) {
      this.#kept.delete(key);
      this.#kept.set(key, known);
      known.users++;
      return known;
    }
    const made = { handle: make(), bytes, users: 1, dropped: key === undefined };
    if (key !== undefined) {
      this.#kept.set(key, made);
      this.#trim();
    }
    return made;
  }

  giveBack(dataset: KeptDataset): void {
    dataset.users--;
    if (dataset.dropped && dataset.users === 0) this.#free(dataset.handle);
  }

  /** Drops those that were not used for longest. */
  #trim(): void {
    let bytes = 0;
    for (const each of this.#kept.values()) bytes += each.bytes;
    for (const [oldest, entry] of this.#kept) {
      if (bytes <= this.#most || this.#kept.size === 1) break;
      bytes -= entry.bytes;
      this.#kept.delete(oldest);
      entry.dropped = true;
      if (entry.users === 0) this.#free(entry.handle);
    }
  }
}
