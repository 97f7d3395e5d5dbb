// Where rows stand in their file, for messages that name one.

/** Rows mostly follow each other line by line: only where they do not is something kept. */
export class RowPlaces {
  readonly #starts: number[] = [];
  readonly #offsets: number[] = [];

  see(row: number, place: number): void {
    if (place - row === this.#offsets.at(-1)) return;
    this.#starts.push(row);
    this.#offsets.push(place - row);
  }

  of(row: number): number {
    let low = 0;
    for (let high = this.#starts.length - 1; low < high; ) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle]! <= row) low = middle;
      else high = middle - 1;
    }
    return row + (this.#offsets[low] ?? 0);
  }
}
