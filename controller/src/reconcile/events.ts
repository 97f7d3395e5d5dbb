// Kubernetes Events on what happens to a resource: written aside from the reconcile, repeated ones counted in one
// object, and never more than a bounded rate. An Event is a courtesy: losing one is counted, never an error.
import { createHash, randomBytes } from 'node:crypto';
import { pause } from '../kube/backoff.ts';
import type { Client } from '../kube/client.ts';
import { isNotFound } from '../kube/errors.ts';
import { type Log, silentLog } from '../kube/log.ts';
import type { KubeObject, ResourceType } from '../kube/types.ts';

export interface EventNote {
  type: 'Normal' | 'Warning';
  /** CamelCase, as in the condition. */
  reason: string;
  message: string;
}

export interface RecorderOptions {
  client: Client;
  /** Reported as `reportingController`. Default `quintet.dev/controller`. */
  controller?: string;
  /** Name of this replica. */
  instance: string;
  log?: Log;
  onDropped?: () => void;
  /** Events per second in the long run, and at once. Default 10 and 25. */
  rate?: number;
  burst?: number;
  now?: () => Date;
}

export const eventType: ResourceType = {
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
};

interface Series {
  namespace: string;
  name: string;
  count: number;
  /** Written to the server: undefined before the first. */
  written: number | undefined;
  lastAt: number;
  body: { metadata: { namespace: string; name: string }; [field: string]: unknown };
}

/** The same note on the same resource within this time counts up instead of making a new object. */
const seriesMs = 6 * 60_000;
const maxSeries = 1000;
const maxWaiting = 500;
/** Different notes on one resource within `seriesMs`; more are dropped. */
const maxPerResource = 25;

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #log: Log;
  readonly #now: () => Date;
  readonly #series = new Map<string, Series>();
  readonly #perResource = new Map<string, { since: number; count: number }>();
  readonly #waiting = new Set<Series>();
  readonly #stop = new AbortController();
  readonly #burst: number;
  readonly #rate: number;
  #tokens: number;
  #tokensAt: number;
  #draining: Promise<void> | undefined;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#now = options.now ?? (() => new Date());
    this.#rate = options.rate ?? 10;
    this.#burst = options.burst ?? 25;
    this.#tokens = this.#burst;
    this.#tokensAt = this.#now().getTime();
  }

  /** Notes something about a resource; returns at once. */
  record(regarding: KubeObject, note: EventNote): void {
    if (this.#stop.signal.aborted) return;
    const at = this.#now().getTime();
    const uid = regarding.metadata.uid ?? '';
    const id = createHash('sha256').update([uid, note.type, note.reason, note.message].join('\n')).digest('base64');
    let series = this.#series.get(id);
    if (series && at - series.lastAt > seriesMs) series = undefined;
    if (!series) {
      if (this.#waiting.size >= maxWaiting || !this.#mayNoteMore(uid, at)) {
        this.#options.onDropped?.();
        return;
      }
      series = this.#begin(regarding, note);
    }
    series.count++;
    series.lastAt = at;
    // Re-inserted so that the oldest are first.
    this.#series.delete(id);
    this.#series.set(id, series);
    if (this.#series.size > maxSeries) this.#series.delete(this.#series.keys().next().value as string);
    this.#waiting.add(series);
    this.#draining ??= this.#drain();
  }

  /** Writes nothing more; what waits is dropped. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#waiting.clear();
    await this.#draining;
  }

  #mayNoteMore(uid: string, at: number): boolean {
    let seen = this.#perResource.get(uid);
    if (!seen || at - seen.since > seriesMs) {
      this.#perResource.delete(uid);
      this.#perResource.set(uid, (seen = { since: at, count: 0 }));
      if (this.#perResource.size > maxSeries) this.#perResource.delete(this.#perResource.keys().next().value as string);
    }
    return ++seen.count <= maxPerResource;
  }

  #begin(regarding: KubeObject, { type, reason, message }: EventNote): Series {
    const { namespace = 'default', name, uid, resourceVersion } = regarding.metadata;
    const metadata = { namespace, name: `${name.slice(0, 230)}.${randomBytes(8).toString('hex')}` };
    const body = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata,
      eventTime: microTime(this.#now()),
      reportingController: this.#options.controller ?? 'quintet.dev/controller',
      reportingInstance: this.#options.instance.slice(0, 128),
      action: 'Reconcile',
      type,
      reason: reason.slice(0, 128),
      note: message.slice(0, 1000),
      regarding: { apiVersion: regarding.apiVersion, kind: regarding.kind, namespace, name, uid, resourceVersion },
    };
    return { ...metadata, count: 0, written: undefined, lastAt: 0, body };
  }

  async #drain(): Promise<void> {
    const { signal } = this.#stop;
    while (this.#waiting.size > 0 && !signal.aborted) {
      const waitMs = this.#tokenIn();
      if (waitMs > 0) {
        await pause(waitMs, signal);
        continue;
      }
      this.#tokens--;
      const series = this.#waiting.values().next().value as Series;
      this.#waiting.delete(series);
      await this.#write(series);
    }
    this.#draining = undefined;
  }

  #tokenIn(): number {
    const at = this.#now().getTime();
    this.#tokens = Math.min(this.#burst, this.#tokens + ((at - this.#tokensAt) / 1000) * this.#rate);
    this.#tokensAt = at;
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) / this.#rate) * 1000);
  }

  async #write(series: Series): Promise<void> {
    const { client } = this.#options;
    const { count } = series;
    try {
      if (series.written === undefined)
        await client.create(eventType, { ...series.body, ...(count > 1 && { series: this.#seriesOf(series) }) });
      else await client.patch(eventType, series, { series: this.#seriesOf(series) });
      series.written = count;
    } catch (error) {
      // Its hour is over: the next repetition begins a new one.
      if (isNotFound(error)) series.lastAt = Number.NEGATIVE_INFINITY;
      this.#options.onDropped?.();
      this.#log.debug({ err: error, event: series.name }, 'an event could not be written');
    }
  }

  #seriesOf(series: Series): object {
    return { count: series.count, lastObservedTime: microTime(new Date(series.lastAt)) };
  }
}

function microTime(date: Date): string {
  return date.toISOString().replace('Z', '000Z');
}
