// How far a run is: a bar that redraws itself on a terminal, a line now and then anywhere else.

const width = 32;
const betweenFrames = 100;
const betweenLines = 5_000;

export interface Screen {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export class ProgressBar {
  readonly #screen: Screen;
  readonly #now: () => number;
  #last = Number.NEGATIVE_INFINITY;
  #drawn = false;

  constructor(screen: Screen, now: () => number = () => performance.now()) {
    this.#screen = screen;
    this.#now = now;
  }

  show(done: number, total: number, perSecond: number, things = 'points'): void {
    const now = this.#now();
    const pause = this.#screen.isTTY ? betweenFrames : betweenLines;
    if (now - this.#last < pause && done < total) return;
    this.#last = now;
    const part = total > 0 ? done / total : 1;
    const left = perSecond > 0 ? `, ${duration((total - done) / perSecond)} left` : '';
    const figures = `${Math.floor(part * 100)}%  ${count(done)} of ${count(total)} ${things}, ${count(perSecond)}/s${done < total ? left : ''}`;
    if (this.#screen.isTTY) {
      const full = Math.round(part * width);
      this.#screen.write(`\r[${'█'.repeat(full)}${'░'.repeat(width - full)}] ${figures}\u001b[K`);
      this.#drawn = true;
    } else {
      this.#screen.write(`${figures}\n`);
    }
  }

  /** What is being done, where nobody knows how much of it is left; what is over in a moment is not shown. */
  tell(text: string): void {
    const now = this.#now();
    if (this.#last === Number.NEGATIVE_INFINITY) this.#last = now;
    if (now - this.#last < (this.#screen.isTTY ? betweenFrames : betweenLines)) return;
    this.#last = now;
    this.#screen.write(this.#screen.isTTY ? `\r${text}\u001b[K` : `${text}\n`);
    this.#drawn = this.#screen.isTTY === true;
  }

  /** A line above the bar. */
  say(line: string): void {
    this.end();
    this.#screen.write(`${line}\n`);
  }

  end(): void {
    if (this.#drawn) this.#screen.write('\n');
    this.#drawn = false;
  }
}

export function count(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toPrecision(3)} G`;
  if (value >= 1e6) return `${(value / 1e6).toPrecision(3)} M`;
  if (value >= 1e3) return `${(value / 1e3).toPrecision(3)} k`;
  return String(Math.round(value));
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
