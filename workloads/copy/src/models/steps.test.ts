import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type Steps, steps } from './steps.ts';

/** Reads a prompt of so many tokens, and then makes answers' tokens; each batch is told of by what is in it. */
class Computer {
  readonly batches: Record<string, number>[] = [];
  readonly steps: Steps;
  /** Milliseconds that a batch takes for each token of a prompt, and without any. */
  each = 1;
  alone = 16;
  #now = 0;
  #open: Record<string, number> | undefined;

  constructor(batchSize = 512) {
    this.steps = steps({ batchSize, now: () => this.#now });
  }

  /** All that is asked for in one turn of the event loop is one batch, as node-llama-cpp has it. */
  async compute(name: string, tokens: number, isPrompt: boolean): Promise<void> {
    const batch = (this.#open ??= this.#begin());
    batch[name] = (batch[name] ?? 0) + tokens;
    if (isPrompt) this.#now += tokens * this.each;
    await sleep(0);
    this.#open = undefined;
  }

  async prompt(name: string, length: number, signal = new AbortController().signal): Promise<void> {
    const place = this.steps.prompt(length, signal);
    for (let left = length; left > 0; ) {
      left -= await place.part(left, async (count) => {
        await this.compute(name, count, true);
        return count;
      });
    }
  }

  async answer(name: string, length: number): Promise<void> {
    for (let i = 0; i < length; i++) await this.steps.token(() => this.compute(name, 1, false));
  }

  /** Tokens that were computed from one batch on until the name stood in one for the last time, that one included. */
  until(name: string, from = 0): number {
    const last = this.batches.findLastIndex((batch) => name in batch);
    return this.batches.slice(from, last + 1).reduce((sum, batch) => sum + tokensIn(batch), 0);
  }

  #begin(): Record<string, number> {
    const batch = {};
    this.batches.push(batch);
    this.#now += this.alone;
    return batch;
  }
}

const tokensIn = (batch: Record<string, number>) => Object.values(batch).reduce((sum, count) => sum + count, 0);

describe('a batch', () => {
  test('holds the next token of every answer, also of those that began apart', async () => {
    const computer = new Computer();
    const first = computer.answer('a', 12);
    while (computer.batches.length < 3) await sleep(0);
    await Promise.all([first, computer.answer('b', 6), computer.answer('c', 6)]);
    const together = computer.batches.filter((batch) => 'b' in batch);
    expect(together).toHaveLength(6);
    for (const batch of together) expect(batch).toMatchObject({ b: 1, c: 1 });
    expect(computer.batches.length).toBeLessThanOrEqual(18);
    expect(computer.batches.filter((batch) => 'a' in batch && 'b' in batch).length).toBeGreaterThan(2);
  });

  test('never holds more tokens than it may', async () => {
    const computer = new Computer(40);
    computer.each = 0.001;
    const answers = Array.from({ length: 30 }, (_, i) => computer.answer(`answer ${i}`, 20));
    await Promise.all([...answers, computer.prompt('p', 300), computer.prompt('q', 300)]);
    for (const batch of computer.batches) expect(tokensIn(batch)).toBeLessThanOrEqual(40);
    const read = computer.batches.reduce((sum, { p = 0, q = 0 }) => sum + p + q, 0);
    expect(read).toBe(600);
  });

  test('of answers is held up by one part of a prompt at most, which takes one and a half times as long as it does', async () => {
    for (const [alone, each] of [
      [16, 1],
      [15, 0.1],
      [1, 0.05],
    ] as const) {
      const computer = new Computer();
      Object.assign(computer, { alone, each });
      const control = new AbortController();
      const prompt = computer.prompt('p', 1_000_000, control.signal).catch(() => undefined);
      await computer.answer('a', 150);
      const to = computer.batches.length;
      control.abort();
      await prompt;
      // By turns, also when all is known.
      const pairs = computer.batches.slice(to - 100, to);
      expect(pairs.filter((batch) => 'a' in batch)).toHaveLength(50);
      const parts = pairs.flatMap(({ p }) => (p === undefined ? [] : [p]));
      expect(parts).toHaveLength(50);
      for (const p of parts) expect(p * each).toBeLessThanOrEqual(1.1 * 1.5 * alone + each);
      // And is used: less would make the prompt wait for nothing.
      for (const p of parts) expect(p * each).toBeGreaterThan(alone);
    }
  });
});

describe('prompts', () => {
  test('that are short are read before the rest of long ones', async () => {
    const computer = new Computer();
    const long = [computer.prompt('long 1', 800), computer.prompt('long 2', 800)];
    while (computer.batches.length < 3) await sleep(0);
    const from = computer.batches.length;
    await computer.prompt('short', 40);
    // One part that was begun, at most: nothing of the long ones rides along.
    expect(computer.until('short', from - 1)).toBeLessThanOrEqual(40 + 2 * 40);
    expect(computer.batches.filter((batch) => 'short' in batch && Object.keys(batch).length > 1)).toEqual([]);
    await Promise.all(long);
    expect(computer.batches.findLastIndex((batch) => 'long 1' in batch)).toBeLessThanOrEqual(
      computer.batches.findIndex((batch) => 'long 2' in batch) + 1,
    );
  });

  test('that are short wait for half their own length at most, when others like them came lately', async () => {
    // A batch takes next to nothing without a prompt, so that by time alone parts would be large.
    const computer = new Computer();
    Object.assign(computer, { alone: 16, each: 0.01 });
    const control = new AbortController();
    const long = [1, 2].map((i) => computer.prompt(`long ${i}`, 100_000, control.signal).catch(() => undefined));
    const waited: number[] = [];
    for (let i = 0; i < 20; i++) {
      const batches = computer.batches.length;
      while (computer.batches.length < batches + 3) await sleep(0);
      const from = computer.batches.length;
      await computer.prompt(`short ${i}`, 40);
      waited.push(computer.until(`short ${i}`, from - 1));
    }
    control.abort();
    await Promise.all(long);
    expect(Math.max(...waited.slice(1))).toBeLessThanOrEqual(40 + 20);
  });

  test('that are short go before answers that a part of a long one went before, and then those have their turn', async () => {
    const computer = new Computer();
    const control = new AbortController();
    const others = [computer.answer('a', 200), computer.prompt('long', 100_000, control.signal).catch(() => undefined)];
    const order: string[] = [];
    for (let i = 0; i < 20; i++) {
      // It comes while a part of the long one is read.
      const batches = computer.batches.length;
      while (computer.batches.length === batches || !('long' in (computer.batches.at(-1) ?? {}))) await sleep(0);
      const from = computer.batches.length - 1;
      await Promise.all([computer.prompt(`short ${i}`, 40), computer.prompt(`other ${i}`, 40)]);
      order.push(
        computer.batches
          .slice(from)
          .flatMap((batch) => Object.keys(batch)[0] ?? '')
          .join(),
      );
    }
    control.abort();
    await Promise.all(others);
    // Once it is known that short ones come, of two that come together the second waits for the answer.
    for (const each of order.slice(2)) expect(each).toMatch(/^long,short \d+,(a,)?(other \d+)?/);
    // While it is in work, the answer is in one of any three batches.
    const threes = Array.from({ length: 197 }, (_, at) => computer.batches.slice(at, at + 3));
    expect(threes.filter((three) => !three.some((batch) => 'a' in batch))).toEqual([]);
  });

  test('that are long are read in large parts again when no short ones come any more', async () => {
    const computer = new Computer();
    // A minute later.
    Object.assign(computer, { alone: 300, each: 0.01 });
    const long = computer.prompt('long', 20_000);
    while (computer.batches.length < 3) await sleep(0);
    await computer.prompt('short', 40);
    const from = computer.batches.length;
    await long;
    const parts = computer.batches.slice(from).map(tokensIn);
    expect(parts[0]).toBe(20);
    expect(Math.max(...parts.slice(256))).toBeGreaterThan(200);
  });

  test('that are of one length are read together', async () => {
    const computer = new Computer();
    await Promise.all(Array.from({ length: 16 }, (_, i) => computer.prompt(`prompt ${i}`, 40)));
    // Parts of 32 tokens and a tenth more in each batch at most.
    expect(computer.batches.length).toBeLessThanOrEqual(20);
  });

  test('that come alone are read in larger parts than those that others may wait for', async () => {
    const computer = new Computer();
    await computer.prompt('alone', 2000);
    expect(Math.max(...computer.batches.map(tokensIn))).toBeGreaterThanOrEqual(4 * 24);
    const before = computer.batches.length;
    await Promise.all([computer.prompt('one', 2000), computer.prompt('two', 2000)]);
    const beside = computer.batches.slice(
      before,
      computer.batches.findLastIndex((batch) => 'one' in batch),
    );
    expect(Math.max(...beside.map(tokensIn))).toBeLessThan(2 * 32);
  });

  test('that are long are read in the end, however many short ones come', async () => {
    const computer = new Computer();
    let done = false;
    const long = computer.prompt('long', 200).finally(() => {
      done = true;
    });
    let others = 0;
    const short = async (client: number) => {
      for (let i = 0; !done && others < 10_000; i++) {
        await computer.prompt(`${client}.${i}`, 40);
        others += 40;
      }
    };
    await Promise.all([long, ...[1, 2, 3, 4].map(short)]);
    expect(others).toBeLessThan(8 * 200 + 1000);
  });

  test('whose client goes are left at once', async () => {
    const computer = new Computer();
    const control = new AbortController();
    const gone = computer.prompt('gone', 10_000, control.signal);
    const ended = Promise.allSettled([gone]);
    while (computer.batches.length < 3) await sleep(0);
    control.abort(new Error('the client went'));
    expect(await ended).toMatchObject([{ status: 'rejected', reason: { message: 'the client went' } }]);
    const before = computer.batches.length;
    await computer.prompt('next', 16);
    expect(computer.batches.slice(before + 1).some((batch) => 'gone' in batch)).toBe(false);
  });

  test('that fail leave the others alone', async () => {
    const computer = new Computer();
    const failing = computer.steps.token(() => Promise.reject(new Error('no')));
    const [failed] = await Promise.allSettled([failing, computer.answer('a', 3), computer.prompt('p', 100)]);
    expect(failed).toMatchObject({ status: 'rejected' });
    expect(computer.batches.reduce((sum, { a = 0, p = 0 }) => sum + a + p, 0)).toBe(103);
  });
});
