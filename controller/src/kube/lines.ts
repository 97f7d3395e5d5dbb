// Cuts a byte stream into lines without copying more than once; a character split between two chunks stays whole.

const newline = 0x0a;

/** A line grew beyond the limit: the stream is not what it should be. */
export class LineTooLongError extends Error {
  override readonly name = 'LineTooLongError';
}

export class LineSplitter {
  #rest: Buffer[] = [];
  #restBytes = 0;
  readonly #maxBytes: number;

  /** @param maxBytes Longest line accepted. An object in etcd has at most 1.5 MiB; JSON may double that. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Calls `onLine` for every line that this chunk completes. @throws LineTooLongError */
  push(chunk: Buffer, onLine: (line: string) => void): void {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const line = this.#complete(chunk, start, end);
      start = end + 1;
      if (line !== '') onLine(line);
    }
    if (start < chunk.length) this.#keep(start === 0 ? chunk : chunk.subarray(start));
  }

  /** Bytes of an unfinished line: more than 0 at the end of a stream means it was cut. */
  get pendingBytes(): number {
    return this.#restBytes;
  }

  #complete(chunk: Buffer, start: number, end: number): string {
    if (this.#restBytes === 0) return chunk.toString('utf8', start, end);
    this.#keep(chunk.subarray(start, end));
    const line = Buffer.concat(this.#rest, this.#restBytes).toString('utf8');
    this.#rest = [];
    this.#restBytes = 0;
    return line;
  }

  #keep(part: Buffer): void {
    this.#restBytes += part.length;
    if (this.#restBytes > this.#maxBytes) throw new LineTooLongError(`a line is longer than ${this.#maxBytes} bytes`);
    this.#rest.push(part);
  }
}
