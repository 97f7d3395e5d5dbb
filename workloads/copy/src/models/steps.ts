// What the model computes next: one token of every answer in work, together in one batch, and beside them only as much of waiting prompts as does not
// hold those tokens up. Of several prompts the one with least left to read goes first.

export interface Steps {
  /** Runs `work`, which makes one token of an answer, in the next batch. */
  token: <T>(work: () => Promise<T>) => Promise<T>;
  /** A prompt of so many tokens that waits to be read from now on. */
  prompt: (length: number, signal: AbortSignal) => PromptInLine;
}

export interface PromptInLine {
  /** Runs `work` in a batch that has room for a part of the `left` tokens, with how many. Throws the signal's reason once that aborted. */
  part: <T>(left: number, work: (count: number) => Promise<T>) => Promise<T>;
}

export interface Batch {
  /** Answers that got a token. */
  answers: number;
  promptTokens: number;
  milliseconds: number;
}

export interface StepsOptions {
  /** Most tokens of a batch. */
  batchSize: number;
  /** Milliseconds; a test's own clock. */
  now?: () => number;
  /** Told of each batch once it is done. */
  onBatch?: ((batch: Batch) => void) | undefined;
}

/** Beside answers a prompt may make a batch this many times as long as it is without. */
const longest = 2.5;
/** Whoever comes waits until a batch is done, and so parts are as small where nobody is held up yet. Where for so many batches nobody else came, */
const calm = 16;
/** they are so many times as long, with less to do for each token. */
const unhindered = 4;
/** A prompt lets others pass that have less left, until so many times its own length was read for them. */
const patience = 8;
/** Where nothing is known yet. */
const firstPart = 32;
const leastPart = 24;
/** Batches for which it is remembered that short prompts come beside long ones: */
const memory = 256;
/** those wait for a part of a long one, and so it is at most this share of their own length, */
const share = 0.5;
/** but not so small that most of a batch's time is spent on what is read in any case. */
const smallestPart = 16;

interface Waiting {
  /** Tokens left of a prompt; undefined: the next token of an answer. */
  left?: number;
  /** Tokens that the prompt had to be read. */
  length?: number;
  /** Tokens of prompts that have been read when this one has waited for long enough. */
  due: number;
  signal?: AbortSignal;
  begin: (count: number) => Promise<void>;
  fail: (reason: unknown) => void;
}

export function steps({ batchSize, now = () => performance.now(), onBatch }: StepsOptions): Steps {
  let waiting: Waiting[] = [];
  let running = false;
  let read = 0;
  /** Batches in which one alone was served. */
  let quiet = 0;
  let inWork: readonly Waiting[] = [];
  const pace = paceOf(batchSize);
  const visitors = shortPrompts();

  /** Those that the next batch holds, with their tokens; the others wait on. */
  const chosen = (): { item: Waiting; count: number }[] => {
    const answers = waiting.filter(({ left }) => left === undefined).slice(0, batchSize);
    const batch = answers.map((item) => ({ item, count: 1 }));
    const part = Math.min(pace.part() * (quiet < calm ? 1 : unhindered), visitors.part());
    const most = batchSize - answers.length;
    let room = Math.min(most, part);
    const prompts = waiting
      .filter(({ left }) => left !== undefined)
      .toSorted((a, b) => rankOf(a, read) - rankOf(b, read));
    for (const item of prompts) {
      const { left = 0, length = 0 } = item;
      const isFirst = batch.length === answers.length;
      // A short prompt's first token would wait for whatever part of a long one rides along.
      if (!isFirst && left > 2 * part) break;
      // Two batches take longer than one that is somewhat larger; but of a long prompt no part is.
      if (isFirst && length <= 2 * part) room = Math.min(most, Math.max(room, left));
      const count = Math.min(room, left);
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
      quiet = waiting.length > 1 ? 0 : quiet + 1;
      const batch = chosen();
      const began = now();
      inWork = batch.map(({ item }) => item);
      await Promise.all(batch.map(({ item, count }) => item.begin(count)));
      if (batch.length === 0) continue;
      visitors.batch();
      const milliseconds = now() - began;
      const answers = batch.filter(({ item }) => item.left === undefined).length;
      const promptTokens = batch.reduce((sum, { count }) => sum + count, 0) - answers;
      read += promptTokens;
      pace.note(promptTokens, milliseconds);
      onBatch?.({ answers, promptTokens, milliseconds });
    }
    running = false;
  };

  const dropGone = () => {
    const gone = waiting.filter(({ signal }) => signal?.aborted);
    waiting = waiting.filter(({ signal }) => !signal?.aborted);
    for (const { fail, signal } of gone) fail(signal?.reason);
  };

  const enter = <T>(
    work: (count: number) => Promise<T>,
    of: Pick<Waiting, 'left' | 'length' | 'due' | 'signal'>,
  ): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      const begin = (count: number) => work(count).then(resolve, reject);
      waiting.push({ ...of, begin, fail: reject });
      void run();
    });

  return {
    token: (work) => enter(work, { due: read }),
    prompt: (length, signal) => {
      const due = read + patience * length;
      visitors.came(length, Math.max(0, ...[...waiting, ...inWork].map(({ left = 0 }) => left)));
      return { part: (left, work) => enter(work, { left, length, due, signal }) };
    },
  };
}

/** Smaller goes first: those that have waited for long enough, then those with least left. */
function rankOf({ left = 0, due }: Waiting, read: number): number {
  return read >= due ? due - read - 1 : left;
}

/** How large parts of long prompts may be for the short ones that came beside them lately; without bounds where there are none. */
function shortPrompts(): { came: (length: number, besides: number) => void; batch: () => void; part: () => number } {
  let usual = Number.POSITIVE_INFINITY;
  let since = 0;
  return {
    came: (length, besides) => {
      if (besides < 2 * length) return;
      since = 0;
      // The shortest count most.
      usual = usual < length ? usual + (length - usual) / 4 : length;
    },
    batch: () => {
      if (++since > memory) usual = Number.POSITIVE_INFINITY;
    },
    part: () => Math.max(smallestPart, Math.round(usual * share)),
  };
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
      if (spread <= n) return become(tokens > 0.8 * part ? part * 1.1 : part);
      const each = (n * xy - x * y) / spread;
      const alone = (y - each * x) / n;
      if (!(each > 0 && alone > 0)) return;
      const fitting = ((longest - 1) * alone) / each;
      // Slowly: one batch that the machine held up says little.
      become(part * Math.min(1.1, Math.max(0.9, fitting / part)));
    },
  };
}
