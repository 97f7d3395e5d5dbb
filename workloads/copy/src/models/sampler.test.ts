import fc from 'fast-check';
import { expect, test } from 'vitest';
import { draw, randomOf } from './sampler.ts';

const plain = { temperature: 1, topP: 1, topK: 0, repetitionPenalty: 1 };
const logitsOf = (...probabilities: number[]) => Float32Array.from(probabilities, Math.log);

test('a draw is among those that top-k and top-p leave, with its chance among them', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: -8, max: 8, noNaN: true }), { minLength: 2, maxLength: 40 }),
      fc.integer({ min: 0, max: 45 }),
      fc.double({ min: 0.05, max: 1, noNaN: true }),
      fc.integer(),
      (values, topK, topP, seed) => {
        const logits = Float32Array.from(values);
        const { token, logprob, top } = draw(logits, { ...plain, topK, topP }, [], randomOf(seed), 50);
        expect(top.length).toBeLessThanOrEqual(topK === 0 ? values.length : Math.min(topK, values.length));
        expect(top.reduce((sum, each) => sum + Math.exp(each.logprob), 0)).toBeCloseTo(1, 6);
        expect(top.find((each) => each.token === token)?.logprob).toBe(logprob);
        const sorted = [...logits].toSorted((a, b) => b - a);
        expect(top.map((each) => logits[each.token])).toEqual(sorted.slice(0, top.length));
      },
    ),
  );
});

test('greedy takes the likeliest whatever top-k says, with its chance among all', () => {
  const { token, logprob, top } = draw(
    logitsOf(0.2, 0.5, 0.3),
    { ...plain, temperature: 0, topK: 1 },
    [],
    () => 0.99,
    2,
  );
  expect(token).toBe(1);
  expect(Math.exp(logprob)).toBeCloseTo(0.5, 6);
  expect(top.map((each) => each.token)).toEqual([1, 2]);
});

test('the penalty makes what stood before less likely, once however often it stood', () => {
  const logits = Float32Array.of(2, 1.5, -1);
  const once = draw(logits, { ...plain, temperature: 0, repetitionPenalty: 2 }, [0], Math.random);
  expect(once.token).toBe(1);
  const often = draw(logits, { ...plain, repetitionPenalty: 2 }, [0, 0, 2, 2], () => 0, 3);
  expect(often.top.map((each) => each.token)).toEqual([1, 0, 2]);
  expect(often.top[1]?.logprob).toBeCloseTo(1 - Math.log(Math.exp(1) + Math.exp(1.5) + Math.exp(-2)), 6);
  expect([...logits]).toEqual([2, 1.5, -1]);
});

test('a seed decides all draws', () => {
  const numbers = (seed: number) => Array.from({ length: 5 }, randomOf(seed));
  expect(numbers(7)).toEqual(numbers(7));
  expect(numbers(7)).not.toEqual(numbers(8));
  for (const number of numbers(0)) expect(number).toBeGreaterThanOrEqual(0);
});
