import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ComplexArray, FourierTransform, frequenciesOf, powerOfTwoFrom } from './fft.ts';

describe('a Fourier transform', () => {
  it('is the sum that defines it, along each axis', () => {
    fc.assert(
      fc.property(
        fc.constantFrom([8], [4, 8], [1, 16], [2, 4, 8]),
        fc.integer({ min: 1, max: 1000 }),
        (shape, seed) => {
          const data = noise(shape, seed);
          const kept = copy(data);
          const transform = new FourierTransform(shape);
          transform.forward(data);
          const some = shape.map((n, axis) => (seed + axis) % n);
          const [re, im] = sumOf(kept, shape, some);
          const at = some.reduce((place, i, axis) => place * shape[axis]! + i, 0);
          expect(Math.hypot(data.re[at]! - re, data.im[at]! - im)).toBeLessThan(1e-12);
          transform.backward(data);
          expect(Math.max(...data.re.map((x, i) => Math.abs(x - kept.re[i]!)))).toBeLessThan(1e-14);
          expect(Math.max(...data.im.map((x, i) => Math.abs(x - kept.im[i]!)))).toBeLessThan(1e-14);
        },
      ),
    );
  });

  it('takes powers of two alone', () => {
    expect(() => new FourierTransform([4, 12])).toThrow(/power/);
    expect([1, 2, 3, 129].map(powerOfTwoFrom)).toEqual([1, 2, 4, 256]);
  });

  it('tells the frequencies in the order of its numbers', () => {
    expect([...frequenciesOf(4)]).toEqual([0, 0.25, -0.5, -0.25]);
  });
});

function noise(shape: readonly number[], seed: number): ComplexArray {
  const n = shape.reduce((product, each) => product * each, 1);
  const value = (i: number): number => Math.sin(seed * 12.9898 + i * 78.233);
  return {
    re: Float64Array.from({ length: n }, (_, i) => value(i)),
    im: Float64Array.from({ length: n }, (_, i) => value(i + 0.5)),
  };
}

function copy({ re, im }: ComplexArray): ComplexArray {
  return { re: re.slice(), im: im.slice() };
}

function sumOf({ re, im }: ComplexArray, shape: readonly number[], frequency: readonly number[]): [number, number] {
  let sumRe = 0;
  let sumIm = 0;
  for (let i = 0; i < re.length; i++) {
    let rest = i;
    let cycles = 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      cycles += ((rest % shape[axis]!) * frequency[axis]!) / shape[axis]!;
      rest = Math.floor(rest / shape[axis]!);
    }
    const c = Math.cos(-2 * Math.PI * cycles);
    const s = Math.sin(-2 * Math.PI * cycles);
    sumRe += re[i]! * c - im[i]! * s;
    sumIm += re[i]! * s + im[i]! * c;
  }
  return [sumRe, sumIm];
}
