// How large a batch and how long a wait are right, learned from measured latency: additive increase, multiplicative decrease.

export interface PaceOptions {
  /** Smallest and largest batch; 1 and 32 when left out. */
  minSize?: number;
  maxSize?: number;
  /** Where the size starts; `maxSize` / 4 when left out. */
  startSize?: number;
  /** Longest wait for a batch to fill, in milliseconds; 50 when left out. */
  maxWait?: number;
  /** Latency from arrival to answer to stay under, in milliseconds; 4 × `maxWait` when left out. */
  targetLatency?: number;
}

/** What was seen of one batch. Times in milliseconds. */
export interface BatchSeen {
  size: number;
  /** Longest wait of an item before the batch began. */
  waited: number;
  /** From the beginning to the end of the work. */
  took: number;
  /** Items still waiting when it began. */
  left: number;
}

export interface Pace {
  /** Items to gather. */
  readonly size: number;
  /** Milliseconds to wait for them. */
  readonly wait: number;
  /** Moving average of milliseconds per batch; 0 before the first. */
  readonly took: number;
  arrived: (at: number) => void;
  finished: (batch: BatchSeen) => void;
  /** Changes the bounds while serving. */
  update: (options: PaceOptions) => void;
}

const decrease = 0.7;
const smoothing = 0.2;

/** Pure but for its own figures: no clock, no timers. Size and wait always stay within their bounds. */
export function pace(options: PaceOptions = {}): Pace {
  let bounds = filled(options);
  let size = clamp(options.startSize ?? Math.ceil(bounds.maxSize / 4), bounds.minSize, bounds.maxSize);
  let wait = bounds.maxWait / 2;
  let interval = Number.POSITIVE_INFINITY;
  let last: number | undefined;
  let took = 0;
  return {
    get size() {
      return Math.max(bounds.minSize, Math.floor(size));
    },
    get wait() {
      // When not even one more is expected within the wait, waiting costs latency and gains nothing.
      return interval > wait ? 0 : wait;
    },
    get took() {
      return took;
    },
    arrived: (at) => {
      if (last !== undefined)
        interval = Number.isFinite(interval) ? interval + smoothing * (at - last - interval) : at - last;
      last = at;
    },
    finished: (batch) => {
      took = took === 0 ? batch.took : took + smoothing * (batch.took - took);
      if (batch.waited + batch.took > bounds.targetLatency) {
        // Work too slow: smaller batches. Waiting too long for a batch to fill: a shorter wait. A backlog is neither's fault.
        if (batch.took > bounds.targetLatency / 2) size = Math.max(bounds.minSize, size * decrease);
        if (batch.left === 0) wait *= decrease;
        return;
      }
      if (batch.size >= Math.floor(size)) size = Math.min(bounds.maxSize, size + 1);
      else if (batch.left === 0) wait = Math.min(bounds.maxWait, wait + bounds.maxWait / 50);
    },
    update: (next) => {
      bounds = filled(next);
      size = clamp(size, bounds.minSize, bounds.maxSize);
      wait = Math.min(wait, bounds.maxWait);
    },
  };
}

function filled(options: PaceOptions): Required<Omit<PaceOptions, 'startSize'>> {
  const { minSize = 1, maxSize = 32, maxWait = 50, targetLatency = maxWait * 4 } = options;
  return { minSize: Math.min(minSize, maxSize), maxSize, maxWait, targetLatency };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
