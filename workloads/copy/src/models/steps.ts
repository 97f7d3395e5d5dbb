// What the model computes next: one token of every answer in work, together in one batch, and beside them only as much of waiting prompts as does not
// hold those tokens up. Of several prompts the one with least left to read goes first.

export interface Steps {
  /** Runs `work`, which makes one token of an answer, in the next batch. */
  token: <T>(work: () => Promise<T>) => Promise<T>;
  /** A prompt that waits to be read from now on. */
  prompt: (signal: AbortSignal) => PromptInLine;
}

export interface PromptInLine {
  /** Runs `work` in a batch that has room for a part of the `left` tokens, with how many. Throws the signal's reason once that aborted. */
  part: <T>(left: number, work: (count: number) => Promise<T>) => Promise<T>;
}

export interface StepsOptions {
  /** Most tokens of a batch. */
  batchSize: number;
  /** Milliseconds; a test's own clock. */
  now?: () => number;
}

/** Beside answers a prompt may make a batch this many times as long as it is without. */
const longest = 3;
/** Without answers, so many times as much of a prompt as beside some: whoever comes now waits that long. */
const unhindered = 2;
/** A prompt lets others pass that are shorter, until so many times its own length was read for them. */
const patience = 8;
/** Where nothing is known yet. */
const firstPart = 32;
const leastPart = 16;

interface Waiting {
  /** Tokens left of a prompt; undefined: the next token of an answer. */
  left?: number;
  /** Tokens of prompts that had been read when this one came. */
  came: number;
  signal?: AbortSignal;
  begin: (count: number) => Promise<void>;
  fail: (reason: unknown) => void;
}

export function steps({ batchSize, now = () => performance.now() }: StepsOptions): Steps {
  let waiting: Waiting[] = [];
  let running = false;
  let read = 0;
  const pace = paceOf(batchSize);

  /** Those that the next batch holds, with their tokens; the others wait on. */
  const chosen = (): { item: Waiting; count: number }[] => {
    const answers = waiting.filter(({ left }) => left === undefined).slice(0, batchSize);
    const batch = answers.map((item) => ({ item, count: 1 }));
    const part = pace.part() * (answers.length > 0 ? 1 : unhindered);
    let room = Math.min(batchSize - answers.length, part);
    const prompts = waiting.filter(({ left }) => left !== undefined).toSorted((a, b) => rankOf(a) - rankOf(b));
    for (const item of prompts) {
      const count = Math.min(room, item.left ?? 0);
      if (count <= 0) break;
      room -= count;
      batch.push({ item, count });
    }
    const taken = new Set(batch.map(({ item }) => item));
    waiting = waiting.filter((item) => !taken.has(item));
    return batch;
  };

  const run = async (): Promise<void> => {
    if (running) return;
    running = true;
    while (waiting.length > 0) {
      // Answers whose token just came ask for their next meanwhile: apart, they would stay apart, in batches that are half empty.
      await new Promise((resolve) => setImmediate(resolve));
      dropGone();
      const batch = chosen();
      const began = now();
      await Promise.all(batch.map(({ item, count }) => item.begin(count)));
      const tokens = batch.reduce((sum, { item, count }) => sum + (item.left === undefined ? 0 : count), 0);
      read += tokens;
      if (batch.length > 0) pace.note(tokens, now() - began);
    }
    running = false;
  };

  const dropGone = () => {
    const gone = waiting.filter(({ signal }) => signal?.aborted);
    waiting = waiting.filter(({ signal }) => !signal?.aborted);
    for (const { fail, signal } of gone) fail(signal?.reason);
  };

  const enter = <T>(work: (count: number) => Promise<T>, of: Pick<Waiting, 'left' | 'came' | 'signal'>): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      const begin = (count: number) => work(count).then(resolve, reject);
      waiting.push({ ...of, begin, fail: reject });
      void run();
    });

  return {
    token: (work) => enter(work, { came: read }),
    prompt: (signal) => {
      const came = read;
      return { part: (left, work) => enter(work, { left, came, signal }) };
    },
  };
}

/** Smaller goes first. All wait alike from now on, so when a prompt came stands for how long it has waited. */
function rankOf({ left = 0, came }: Waiting): number {
  return left + came / patience;
}

/** How much of a prompt a batch may hold, from what batches took: so long without a prompt, so much longer for each token of one. */
function paceOf(most: number): { part: () => number; note: (tokens: number, milliseconds: number) => void } {
  let part = firstPart;
  // Sums of a straight line through the latest batches.
  let [n, x, y, xx, xy] = [0, 0, 0, 0, 0];
  const kept = 0.98;
  const become = (size: number) => {
    part = Math.min(most, Math.max(leastPart, size));
  };
  return {
    part: () => Math.round(part),
    note: (tokens, milliseconds) => {
      n = n * kept + 1;
      x = x * kept + tokens;
      y = y * kept + milliseconds;
      xx = xx * kept + tokens * tokens;
      xy = xy * kept + tokens * milliseconds;
      const spread = n * xx - x * x;
      // Batches that are all alike tell nothing: the next is to be another.
      if (spread <= n) return become(tokens > 0 ? part * 1.1 : part);
      const each = (n * xy - x * y) / spread;
      const alone = (y - each * x) / n;
      if (!(each > 0 && alone > 0)) return;
      const fitting = ((longest - 1) * alone) / each;
      // Slowly: one batch that the machine held up says little.
      become(part * Math.min(1.1, Math.max(0.9, fitting / part)));
    },
  };
}
