// Which fault hits which request: drawn from a seed, so that a run that failed can be told by its number.

/** Faults of a single answer. */
export const answerFaults = ['resetBefore', 'resetAfter', 'blackHole', 'gone', 'throttled', 'serverError'] as const;
/** Faults inside a watch, after some of its bytes went through. */
export const streamFaults = [
  'reset',
  'blackHole',
  'goneInStream',
  'malformedLine',
  'cutMidLine',
  'slow',
  'end',
] as const;

export type AnswerFault = (typeof answerFaults)[number];
export type StreamFault = (typeof streamFaults)[number];

export interface PlannedStreamFault {
  fault: StreamFault;
  /** Lines that pass before it strikes. */
  afterLines: number;
}

export interface Plan {
  /** The fault of the next call, if it has one. `gone` is for watches alone. */
  call(watch: boolean): AnswerFault | undefined;
  /** The fault of the next watch, if it has one. */
  stream(): PlannedStreamFault | undefined;
}

export interface PlanOptions {
  seed: number;
  /** Share of calls that fail. Default 0.04. */
  calls?: number;
  /** Share of watches that are refused. Default 0.3. */
  watches?: number;
  /** Share of watches that are disturbed. Default 0.9. */
  streams?: number;
  /** Most lines that a disturbed watch delivers. Default 60. */
  lines?: number;
}

export function seededPlan({ seed, calls = 0.04, watches = 0.3, streams = 0.9, lines = 60 }: PlanOptions): Plan {
  const random = seededRandom(seed);
  const callFault = dealer(
    answerFaults.filter((fault) => fault !== 'gone'),
    random,
  );
  const watchFault = dealer(answerFaults, random);
  const streamFault = dealer(streamFaults, random);
  return {
    call(watch) {
      if (random() >= (watch ? watches : calls)) return undefined;
      return watch ? watchFault() : callFault();
    },
    stream() {
      if (random() >= streams) return undefined;
      return { fault: streamFault(), afterLines: Math.floor(random() * lines) };
    },
  };
}

/** Deals from a shuffled deck, and shuffles anew when it is empty: no card is missing for long, however few are dealt. */
function dealer<T>(cards: readonly T[], random: () => number): () => T {
  let deck: T[] = [];
  return () => {
    if (deck.length === 0) deck = [...cards];
    return deck.splice(Math.floor(random() * deck.length), 1)[0] as T;
  };
}

/** Numbers in [0, 1) from a 32-bit seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
