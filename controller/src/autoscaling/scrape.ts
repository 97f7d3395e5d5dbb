// Fetches metrics pages of pods: many at once but not too many, each bounded in time and size, over kept connections.
import { Agent, type Dispatcher, request } from 'undici';
import { type Figures, PageError, readPage } from './page.ts';

export interface ScrapeOptions {
  /** Pages fetched at once. Default 64. */
  concurrency?: number;
  /** For one page, from the first byte sent to the last received. Default 1 500 ms. */
  timeoutMs?: number;
  /** Largest page. Default 2 MiB. */
  maxBytes?: number;
}

export interface Target {
  /** What the answer is kept under: a pod's uid. */
  id: string;
  url: string;
}

/** @typeParam T What a page is read as. */
export class PageScraper<T> {
  readonly #read: (text: string) => T;
  readonly #concurrency: number;
  readonly #timeoutMs: number;
  readonly #maxBytes: number;
  readonly #agent: Agent;
  #isClosed = false;

  constructor(read: (text: string) => T, options: ScrapeOptions = {}) {
    this.#read = read;
    this.#concurrency = options.concurrency ?? 64;
    this.#timeoutMs = options.timeoutMs ?? 1_500;
    this.#maxBytes = options.maxBytes ?? 2 * 1024 * 1024;
    this.#agent = new Agent({
      connections: 1,
      keepAliveTimeout: 15_000,
      connect: { timeout: this.#timeoutMs },
      maxResponseSize: this.#maxBytes,
    });
  }

  /** What each target says; an error where it says nothing of use. Never throws. */
  async all(targets: readonly Target[]): Promise<Map<string, T | Error>> {
    const answers = new Map<string, T | Error>();
    let next = 0;
    const work = async () => {
      for (let target = targets[next++]; target && !this.#isClosed; target = targets[next++]) {
        answers.set(target.id, await this.#one(target.url).catch(asError));
      }
    };
    await Promise.all(Array.from({ length: Math.min(this.#concurrency, targets.length) }, work));
    return answers;
  }

  /** What is being fetched is given up: `all` answers at once. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#agent.destroy();
  }

  async #one(url: string): Promise<T> {
    const signal = AbortSignal.timeout(this.#timeoutMs);
    const { statusCode, body } = await request(url, {
      dispatcher: this.#agent,
      signal,
      headers: { accept: 'text/plain; version=0.0.4' },
    });
    if (statusCode !== 200) {
      await discard(body);
      throw new PageError(`answered ${statusCode}`);
    }
    return this.#read(await body.text());
  }
}

export class Scraper extends PageScraper<Figures> {
  /** @param withUnits Whether those of tenants are read as well. */
  constructor(options: ScrapeOptions = {}, withUnits = false) {
    super((text) => readPage(text, withUnits), options);
  }
}

async function discard(body: Dispatcher.ResponseData['body']): Promise<void> {
  await body.dump({ limit: 4096 }).catch(() => undefined);
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
