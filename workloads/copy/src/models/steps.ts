// What the model computes next, by turns: one token of every answer in work, together in one batch, and only as much of waiting prompts as does not hold
// those tokens up. Of several prompts the one with least left to read goes first. Both in one batch would be two passes over the weights all the same, for
// llama.cpp joins only parts of one length (`split_equal`), and whoever is ready first would wait for the other.

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

/** Between two tokens of answers what is read of prompts may make the time this many times as long as it is without, a batch's fixed cost beside; */
const longest = 2.5;
/** so many times as large are its parts, with less to do for each token, where there are none and for so many batches nobody else came, */
const unhindered = 4;
/** or all who wait have their whole prompt read by that. */
const calm = 16;
/** A prompt lets others pass that have less left, until so many times its own length was read for them. */
const patience = 8;
/** Where nothing is known yet. */
const firstPart = 32;
const leastPart = 24;
/** Batches, and milliseconds, for which it is remembered that short prompts come beside long ones: */
const memory = { batches: 256, milliseconds: 60_000 };
/** those wait for a part of a long one, and so it is at most this share of their own length, */
const share = 0.5;
/** but not so small that most of a batch's time is spent on what is read in any case. */
const smallestPart = 16;

interface Chosen {
  item: Waiting;
  count: number;
}

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
  /** Came since the latest batch was done. */
  let fresh = 0;
  /** What of prompts was read since answers had their turn, while they waited for it. */
  let ahead: 'nothing' | 'part' | 'whole' = 'nothing';
  const pace = paceOf(batchSize);
  const visitors = shortPrompts(now);

  /** Those that the next batch holds, with their tokens; the others wait on. */
  const chosen = (): Chosen[] => {
    const answers = waiting.filter(({ left }) => left === undefined).slice(0, batchSize);
    const prompts = waiting
      .filter(({ left }) => left !== undefined)
      .toSorted((a, b) => rankOf(a, read) - rankOf(b, read));
    const part = Math.round(Math.min(pace.part(answers.length) * haste(prompts, answers.length), visitors.part()));
    const parts = partsOf(prompts, part);
    const isWhole = parts.some(({ item, count }) => item.left === count);
    // A prompt that can be read to its end goes before the answers also when only a part of another one went before.
    const reads = parts.length > 0 && (answers.length === 0 || ahead === 'nothing' || (ahead === 'part' && isWhole));
    if (reads && answers.length > 0) ahead = isWhole ? 'whole' : 'part';
    else ahead = 'nothing';
    const batch = reads ? parts : answers.map((item) => ({ item, count: 1 }));
    const taken = new Set(batch.map(({ item }) => item));
    waiting = waiting.filter((item) => !taken.has(item));
    return batch;
  };

  const partsOf = (prompts: readonly Waiting[], part: number): Chosen[] => {
    const parts: Chosen[] = [];
    let room = Math.min(batchSize, part);
    for (const item of prompts) {
      const { left = 0, length = 0 } = item;
      const isFirst = parts.length === 0;
      // A short prompt's first token would wait for whatever part of a long one rides along.
      if (!isFirst && left > 2 * part) break;
      // Two batches take longer than one that is somewhat larger; but of a long prompt no part is.
      if (isFirst && length <= 2 * part) room = Math.min(batchSize, Math.max(room, left));
      const count = Math.min(room, left);
      if (count <= 0) break;
      room -= count;
      parts.push({ item, count });
    }
    return parts;
  };

  /** How many times as large as usual a part of a prompt is. */
  const haste = (prompts: readonly Waiting[], answers: number): number => {
    // What holds few up and many wait for is worth more of the time of those few.
    if (answers > 0) return Math.min(unhindered, Math.max(1, prompts.length / answers));
    const all = unhindered * pace.part(0);
    return quiet >= calm || prompts.every(({ length = 0 }) => length <= all) ? unhindered : 1;
  };

  const run = async (): Promise<void> => {
    if (running) return;
    running = true;
    while (waiting.length > 0) {
      // Answers whose token just came ask for their next meanwhile: apart, they would stay apart, in batches that are half empty. Where all have asked
      // already, a turn of the event loop for each token would only be waited for.
      const areAll = fresh >= inWork.length && fresh === waiting.length;
      if (!areAll || waiting.some(({ left }) => left !== undefined))
        await new Promise((resolve) => setImmediate(resolve));
      dropGone();
      quiet = waiting.length > 1 ? 0 : quiet + 1;
      const batch = chosen();
      const began = now();
      inWork = batch.map(({ item }) => item);
      await Promise.all(batch.map(({ item, count }) => item.begin(count)));
      fresh = 0;
      if (batch.length === 0) continue;
      visitors.batch();
      const milliseconds = now() - began;
      const answers = batch.filter(({ item }) => item.left === undefined).length;
      const promptTokens = batch.reduce((sum, { count }) => sum + count, 0) - answers;
      read += promptTokens;
      pace.note(answers, promptTokens, milliseconds);
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
      fresh++;
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
function shortPrompts(now: () => number): {
  came: (length: number, besides: number) => void;
  batch: () => void;
  part: () => number;
} {
  let usual = Number.POSITIVE_INFINITY;
  let batches = 0;
  let last = 0;
  return {
    came: (length, besides) => {
      if (besides < 2 * length) return;
      batches = 0;
      last = now();
      // The shortest count most.
      usual = usual < length ? usual + (length - usual) / 4 : length;
    },
    batch: () => {
      if (++batches > memory.batches && now() - last > memory.milliseconds) usual = Number.POSITIVE_INFINITY;
    },
    part: () => Math.max(smallestPart, Math.round(usual * share)),
  };
}

/**
 * How much of a prompt a batch may hold beside so many answers, from what batches took: least squares over the latest ones, with a time for each batch,
 * each answer and each token of a prompt.
 */
function paceOf(most: number): {
  part: (answers: number) => number;
  note: (answers: number, tokens: number, milliseconds: number) => void;
} {
  /** Beside one answer, and how much more there may be for each further one. */
  let part = firstPart;
  let more = 0;
  const kept = 0.98;
  let count = 0;
  const sums = { a: 0, t: 0, y: 0, aa: 0, at: 0, tt: 0, ay: 0, ty: 0 };
  const within = (size: number) => Math.min(most, Math.max(leastPart, size));
  return {
    part: (answers) => Math.round(within(part + more * Math.max(0, answers - 1))),
    note: (answers, tokens, milliseconds) => {
      count = count * kept + 1;
      const values = {
        a: answers,
        t: tokens,
        y: milliseconds,
        aa: answers * answers,
        at: answers * tokens,
        tt: tokens * tokens,
        ay: answers * milliseconds,
        ty: tokens * milliseconds,
      };
      for (const [name, value] of Object.entries(values) as [keyof typeof sums, number][])
        sums[name] = sums[name] * kept + value;
      const mean = { a: sums.a / count, t: sums.t / count, y: sums.y / count };
      const tt = sums.tt / count - mean.t ** 2;
      // Batches that are all alike tell nothing: the next is to be another.
      if (tt <= 1) {
        if (tokens > 0.8 * part) part = within(part * 1.1);
        return;
      }
      // Where the number of answers hardly changes, what each takes is not known.
      const aa = sums.aa / count - mean.a ** 2 + 0.05;
      const at = sums.at / count - mean.a * mean.t;
      const ay = sums.ay / count - mean.a * mean.y;
      const ty = sums.ty / count - mean.t * mean.y;
      const determinant = aa * tt - at * at;
      const eachAnswer = Math.max(0, (ay * tt - ty * at) / determinant);
      const each = (ty * aa - ay * at) / determinant;
      const alone = mean.y - each * mean.t + eachAnswer * (1 - mean.a);
      if (!(each > 0 && alone > 0)) return;
      const fitting = ((longest - 1) * alone) / each;
      // Slowly: one batch that the machine held up says little.
      part = within(part * Math.min(1.1, Math.max(0.9, fitting / part)));
      more += (Math.min(most, ((longest - 1) * eachAnswer) / each) - more) / 16;
    },
  };
}
