// Whose image is decoded next. Decoders run on the threads that files and names are read on too: one of those is left
// free, so that who needs no decoding never waits behind those who do. Small images go first, as most are done soon
// then, and a large one waits for no image that came two seconds after it.
import { QuintetError } from '@quintet/runtime';

/** Bytes of a file for each of which a millisecond's later arrivals go first, and how many milliseconds at most. */
const bytesOfPatience = 100;
const mostPatience = 2000;
/** Threads of libuv but one: it has four, unless its environment variable says otherwise; of what is no number, it makes one. */
export function decodersOf(threads: string | undefined): number {
  return Math.max(1, (threads === undefined ? 4 : Number.parseInt(threads, 10) || 1) - 1);
}

interface Waiting {
  /** Milliseconds on the clock of arrivals, later for larger files. */
  readonly due: number;
  readonly begin: () => void;
}

export class Slots {
  #free: number;
  /** Soonest due last. */
  readonly #waiting: Waiting[] = [];
  readonly #now: () => number;

  constructor(atOnce = decodersOf(process.env['UV_THREADPOOL_SIZE']), now: () => number = () => performance.now()) {
    this.#free = atOnce;
    this.#now = now;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** @throws QuintetError `CANCELLED` when its caller went away before its turn: then nothing is done. */
  async run<T>(bytes: number, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await this.#turn(bytes, signal);
    try {
      return await work();
    } finally {
      const next = this.#waiting.pop();
      if (next) next.begin();
      else this.#free++;
    }
  }

  #turn(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        const at = this.#waiting.indexOf(waiting);
        if (at >= 0) this.#waiting.splice(at, 1);
        reject(new QuintetError('CANCELLED'));
      };
      const waiting: Waiting = {
        due: this.#now() + Math.min(bytes / bytesOfPatience, mostPatience),
        begin: () => {
          signal?.removeEventListener('abort', leave);
          resolve();
        },
      };
      if (signal?.aborted) return leave();
      signal?.addEventListener('abort', leave, { once: true });
      let at = this.#waiting.length;
      while (at > 0 && (this.#waiting[at - 1] as Waiting).due <= waiting.due) at--;
      this.#waiting.splice(at, 0, waiting);
    });
  }
}
