// The shards that other pods hold: who they are, and what they find. A shard that nobody answers for is told, never left out in silence.
import { setTimeout as sleep } from 'node:timers/promises';
import { deserialize, serialize } from 'node:v8';
import type { Query } from '../match/matcher.ts';
import type { Finding } from '../match/verdict.ts';
import type { Recorded } from '../record/record.ts';
import { type Claimant, claim, type Held, type Holder, peerKey, release, renewals } from './claims.ts';

/** What a stage needs of a query; the rest is decided where it was asked. */
export type Question = Pick<Query, 'tenant' | 'level' | 'banks' | 'fingerprint' | 'profile'>;

export interface Found {
  readonly findings: readonly Finding[];
  /** Milliseconds by which the oldest of the indexes may have been behind the record. */
  readonly age: number;
  /** Shards that nobody answered for. */
  readonly missing: readonly number[];
}

/** The answer of a pod, and which shard it is of: between the claim and the question it may have taken another. */
export interface PeerAnswer {
  readonly shard: number;
  readonly findings: readonly Finding[];
  readonly age: number;
}

export interface ShardsOptions extends Omit<Claimant, 'lease'> {
  readonly record: Recorded;
  readonly lease?: number;
  /** Milliseconds that a peer has for its answer. Default 2 000. */
  readonly timeout?: number;
  /** Reads another shard; until it is done, this pod answers for none. */
  readonly onMove: (own: number) => Promise<void>;
  readonly onError?: (error: unknown) => void;
}

export const peerPath = '/internal/v1/find';
export const peerHeader = 'x-quintet-peer';

export class Shards {
  readonly #options: Required<Pick<ShardsOptions, 'lease' | 'timeout'>> & ShardsOptions;
  readonly key: string;
  readonly #ending = new AbortController();
  #held: Held;
  /** The shard that has been read. */
  #read: number | undefined;
  #moving: Promise<void> | undefined;
  #serving = false;
  #keeping: Promise<void> = Promise.resolve();
  /** Pods that did not answer, and until when the others of their shard are asked first. */
  readonly #silent = new Map<string, number>();
  #turn = 0;

  private constructor(options: ShardsOptions, key: string, held: Held) {
    this.#options = { lease: 10_000, timeout: 2000, ...options };
    this.key = key;
    this.#held = held;
  }

  /** Takes a shard and keeps it, however long it takes to read; `serves` tells the others once it has been. */
  static async join(options: ShardsOptions): Promise<Shards> {
    const held = await claim(options.record, { lease: 10_000, ...options });
    const shards = new Shards(options, await peerKey(options.record), held);
    shards.#keeping = shards.#keep();
    return shards;
  }

  /** The shard that this pod has read; undefined while it reads one. */
  get own(): number | undefined {
    return this.#read;
  }

  /** The one that it holds, read or not. */
  get claimed(): number {
    return this.#held.own;
  }

  get count(): number {
    return this.#options.shards;
  }

  /** Shards that no pod has read. */
  get missing(): number[] {
    const there = new Set(
      this.#held.holders.flatMap(({ shard, ready, pod }) => (ready && pod !== this.#options.pod ? [shard] : [])),
    );
    if (this.#read !== undefined) there.add(this.#read);
    return Array.from({ length: this.count }, (_, shard) => shard).filter((shard) => !there.has(shard));
  }

  async serves(shard: number): Promise<void> {
    this.#read = shard;
    this.#serving = true;
    await this.#renew();
  }

  async close(): Promise<void> {
    this.#ending.abort();
    // A renewal under way would make the claim anew.
    await this.#keeping;
    // A move under way may take minutes: whoever closes what it reads ends it.
    await release(this.#options.record, this.#options.pod).catch(() => undefined);
  }

  /** Asks a pod of each shard but `own`; where one does not answer, the next that has it. */
  async find(question: Question, own: number | undefined): Promise<Found> {
    const asked = Array.from({ length: this.count }, (_, shard) => shard).filter((shard) => shard !== own);
    const body = serialize(question);
    const turn = this.#turn++;
    const answers = await Promise.all(
      asked.map(async (shard) => ({ shard, answer: await this.#ask(shard, body, turn) })),
    );
    return {
      findings: answers.flatMap(({ answer }) => answer?.findings ?? []),
      age: Math.max(0, ...answers.map(({ answer }) => answer?.age ?? 0)),
      missing: answers.flatMap(({ shard, answer }) => (answer ? [] : [shard])),
    };
  }

  async #ask(shard: number, body: Buffer, turn: number): Promise<PeerAnswer | undefined> {
    for (const { pod, url } of this.#holdersOf(shard, turn)) {
      try {
        const response = await fetch(url + peerPath, {
          method: 'POST',
          headers: { 'content-type': 'application/octet-stream', [peerHeader]: this.key },
          body: new Uint8Array(body),
          signal: AbortSignal.timeout(this.#options.timeout),
        });
        if (!response.ok) throw new Error(`${response.status} ${(await response.text()).slice(0, 200)}`);
        const answer = deserialize(Buffer.from(await response.arrayBuffer())) as PeerAnswer;
        if (answer.shard === shard) return answer;
      } catch (error) {
        this.#silent.set(pod, Date.now() + this.#options.lease);
        this.#options.onError?.(error);
      }
    }
    return undefined;
  }

  /** By turns; who did not answer lately is asked last: a dead pod is taken for one that lives until its claim ends. */
  #holdersOf(shard: number, turn: number): Holder[] {
    const now = Date.now();
    for (const [pod, until] of this.#silent) if (until < now) this.#silent.delete(pod);
    const holders = this.#held.holders.filter(
      (each) => each.shard === shard && each.ready && each.pod !== this.#options.pod,
    );
    const first = turn % Math.max(1, holders.length);
    const byTurns = [...holders.slice(first), ...holders.slice(0, first)];
    const doubtful = ({ pod, late }: Holder) => Number(late || this.#silent.has(pod));
    return byTurns.sort((a, b) => doubtful(a) - doubtful(b));
  }

  async #keep(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      await sleep(this.#options.lease / renewals, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      // While PostgreSQL is away, the holders are as they were.
      await this.#renew().catch((error: unknown) => this.#options.onError?.(error));
    }
  }

  async #renew(): Promise<void> {
    this.#held = await claim(this.#options.record, this.#options, { own: this.#held.own, read: this.#read });
    const { own } = this.#held;
    if (!this.#serving || this.#read === own || this.#moving) return;
    this.#read = undefined;
    this.#moving = this.#move(own).finally(() => {
      this.#moving = undefined;
    });
  }

  async #move(own: number): Promise<void> {
    try {
      await this.#options.onMove(own);
      this.#read = own;
    } catch (error) {
      if (!this.#ending.signal.aborted) this.#options.onError?.(error);
    }
  }
}
