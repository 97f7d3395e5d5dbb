// Copies of one model: another is opened while all are busy, and the last are closed when they were idle for a while.
import type { OnnxModel } from '@quintet/runtime/onnx';

export interface CopiesOptions {
  readonly min: number;
  readonly max: number;
  /** Milliseconds without work after which a copy above the fewest goes. Default 60 000. */
  readonly idle?: number;
}

export class Copies {
  readonly #open: () => Promise<OnnxModel>;
  readonly #options: Required<CopiesOptions>;
  readonly #all: OnnxModel[] = [];
  readonly #free: { model: OnnxModel; since: number }[] = [];
  #opening = 0;
  #waiting: ((model: OnnxModel) => void)[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(open: () => Promise<OnnxModel>, { min, max, idle = 60_000 }: CopiesOptions) {
    this.#open = open;
    this.#options = { min, max, idle };
    this.#timer = setInterval(() => void this.shrink(Date.now()).catch(() => undefined), Math.max(1000, idle / 4));
    this.#timer.unref();
  }

  /** Opens the fewest. */
  async start(): Promise<void> {
    while (this.#all.length < this.#options.min) this.#release(await this.#add());
  }

  get first(): OnnxModel {
    return this.#all[0] as OnnxModel;
  }

  get count(): number {
    return this.#all.length;
  }

  /** Gives `work` a copy to itself. */
  async use<T>(work: (model: OnnxModel) => Promise<T>): Promise<T> {
    const model = await this.#take();
    try {
      return await work(model);
    } finally {
      this.#release(model);
    }
  }

  async shrink(now: number): Promise<void> {
    while (this.#all.length > this.#options.min) {
      const oldest = this.#free[0];
      if (!oldest || now - oldest.since < this.#options.idle) return;
      this.#free.shift();
      this.#all.splice(this.#all.indexOf(oldest.model), 1);
      await oldest.model.close();
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#all.splice(0).map((model) => model.close()));
  }

  async #take(): Promise<OnnxModel> {
    // The one used last, so that the others grow idle.
    const free = this.#free.pop();
    if (free) return free.model;
    if (this.#all.length + this.#opening < this.#options.max) {
      // What cannot grow goes on with what there is.
      const added = await this.#add().catch((error: unknown) => {
        if (this.#all.length === 0) throw error;
      });
      if (added) return added;
    }
    return await new Promise((resolve) => this.#waiting.push(resolve));
  }

  async #add(): Promise<OnnxModel> {
    this.#opening++;
    try {
      const model = await this.#open();
      this.#all.push(model);
      return model;
    } finally {
      this.#opening--;
    }
  }

  #release(model: OnnxModel): void {
    const next = this.#waiting.shift();
    if (next) next(model);
    else this.#free.push({ model, since: Date.now() });
  }
}
