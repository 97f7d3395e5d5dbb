// Calls of webhooks on their way to the record: verdicts do not wait for it, so they wait here, bounded, and are written together, one insert at a
// time. They outlive a PostgreSQL that is away for a while; a process that is killed takes along those that it had not written.
import { randomUUID } from 'node:crypto';
import type { EngineContext } from '@quintet/runtime';
import type { Verdict } from '../match/matcher.ts';
import type { Recorded } from '../record/record.ts';
import type { Webhook } from './webhooks.ts';

export interface Asked {
  readonly tenant: string;
  readonly sha256: string | null;
}

interface Call {
  readonly name: string;
  readonly body: string;
}

export interface CallsOptions {
  readonly record: Pick<Recorded, 'transaction'>;
  readonly webhooks: readonly Webhook[];
  readonly log: Pick<EngineContext<unknown>['log'], 'warn'>;
  /** Characters of bodies that may wait. Default 32 Mi. */
  readonly most?: number;
}

/** Rows of one insert. */
const batch = 500;
/** Milliseconds until the record is tried again. */
const again = 1000;

export class Calls {
  readonly #options: Required<CallsOptions>;
  #waiting: Call[] = [];
  #length = 0;
  #dropped = 0;
  #writing: Promise<void> | undefined;
  #later: NodeJS.Timeout | undefined;

  constructor(options: CallsOptions) {
    this.#options = { most: 32 << 20, ...options };
  }

  get webhooks(): readonly Webhook[] {
    return this.#options.webhooks;
  }

  /** One call for each webhook that wants any of these matches. */
  add(asked: Asked, { matches, shards }: Pick<Verdict, 'matches' | 'shards'>): void {
    for (const { name, banks } of this.#options.webhooks) {
      const theirs = matches.filter(({ bank }) => !banks || banks.includes(bank));
      if (theirs.length === 0) continue;
      const body = JSON.stringify({ type: 'match', id: randomUUID(), ...asked, matches: theirs, shards });
      if (this.#length + body.length > this.#options.most) this.#dropped++;
      else {
        this.#waiting.push({ name, body });
        this.#length += body.length;
      }
    }
    if (this.#waiting.length > 0 && !this.#later) this.#writing ??= this.#write();
  }

  /** Writes what still waits, or says how many are lost. */
  async close(): Promise<void> {
    clearTimeout(this.#later);
    await this.#writing;
    clearTimeout(this.#later);
    await this.#write();
    clearTimeout(this.#later);
    if (this.#waiting.length > 0) this.#options.log.warn({ lost: this.#waiting.length }, 'webhook calls are lost');
  }

  async #write(): Promise<void> {
    this.#later = undefined;
    try {
      while (this.#waiting.length > 0) {
        const calls = this.#waiting.slice(0, batch);
        await insert(this.#options.record, calls);
        this.#waiting = this.#waiting.slice(calls.length);
        for (const { body } of calls) this.#length -= body.length;
      }
    } catch (error) {
      this.#options.log.warn({ err: error, waiting: this.#waiting.length }, 'webhook calls are not written yet');
      this.#later = setTimeout(() => void (this.#writing ??= this.#write()), again);
      this.#later.unref();
    } finally {
      this.#writing = undefined;
      if (this.#dropped > 0) this.#options.log.warn({ lost: this.#dropped }, 'too many webhook calls wait');
      this.#dropped = 0;
    }
  }
}

async function insert(record: Pick<Recorded, 'transaction'>, calls: readonly Call[]): Promise<void> {
  await record.transaction(async (client) => {
    await client.query('insert into deliveries (webhook, body) select * from unnest($1::text[], $2::text[])', [
      calls.map(({ name }) => name),
      calls.map(({ body }) => body),
    ]);
  });
}
