// What waits in the activators: each is asked over a connection that it answers as soon as a request begins to wait.
import { Agent, request } from 'undici';
import { z } from 'zod';
import type { Queue } from '../activator/activator.ts';
import { pause } from '../kube/backoff.ts';

/** Pages of many thousand Services. */
const maxBytes = 8 * 1024 * 1024;
const firstWaitMs = 100;
const longestWaitMs = 2_000;
/** An activator answers after a second at the latest. */
const answerMs = 4_000;

const count = z.number().int().min(0);
const page = z.object({
  instance: z.string().max(512),
  alarm: z.number().int(),
  services: z.record(z.string(), z.object({ port: z.number().int(), waiting: count, inFlight: count, total: count })),
});

interface Reader {
  stop: AbortController;
  heard?: { instance: string; services: Record<string, Queue> };
}

/** One activator and what it has of one Service; undefined: it was not heard, or does not stand in for it. */
export interface Heard {
  address: string;
  /** Differs after a restart. */
  instance: string | undefined;
  queue: Queue | undefined;
}

export class Queues {
  readonly #port: number;
  readonly #onAlarm: (service: string) => void;
  readonly #agent = new Agent({ connections: 2, connect: { timeout: 1_000 }, maxResponseSize: maxBytes });
  readonly #readers = new Map<string, Reader>();

  /** @param onAlarm Told of every Service for which requests wait, whenever an activator answers. */
  constructor(options: { port: number; onAlarm: (service: string) => void }) {
    this.#port = options.port;
    this.#onAlarm = options.onAlarm;
  }

  /** Reads these activators, and no others any more. */
  follow(addresses: ReadonlySet<string>): void {
    for (const [address, reader] of this.#readers) {
      if (addresses.has(address)) continue;
      reader.stop.abort();
      this.#readers.delete(address);
    }
    for (const address of addresses) {
      if (this.#readers.has(address)) continue;
      const reader: Reader = { stop: new AbortController() };
      this.#readers.set(address, reader);
      void this.#read(address, reader);
    }
  }

  /** Every activator that is followed. */
  of(service: string): Heard[] {
    return [...this.#readers].map(([address, { heard }]) => ({
      address,
      instance: heard?.instance,
      queue: heard?.services[service],
    }));
  }

  async close(): Promise<void> {
    this.follow(new Set());
    await this.#agent.destroy();
  }

  async #read(address: string, reader: Reader): Promise<void> {
    const { signal } = reader.stop;
    const host = address.includes(':') ? `[${address}]` : address;
    let alarm = -1;
    let waitMs = firstWaitMs;
    while (!signal.aborted) {
      try {
        const { statusCode, body } = await request(`http://${host}:${this.#port}/queue?after=${alarm}`, {
          dispatcher: this.#agent,
          signal: AbortSignal.any([signal, AbortSignal.timeout(answerMs)]),
        });
        const text = await body.text();
        if (statusCode !== 200) throw new Error(`answered ${statusCode}`);
        const said = page.parse(JSON.parse(text));
        if (signal.aborted) return;
        reader.heard = said;
        alarm = said.alarm;
        waitMs = firstWaitMs;
        for (const [service, { waiting }] of Object.entries(said.services)) if (waiting > 0) this.#onAlarm(service);
      } catch {
        // Not heard is not zero: who reads finds nothing until it answers again.
        delete reader.heard;
        alarm = -1;
        await pause(waitMs, signal);
        waitMs = Math.min(longestWaitMs, waitMs * 2);
      }
    }
  }
}
