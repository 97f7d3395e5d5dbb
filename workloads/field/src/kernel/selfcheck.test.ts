import { describe, expect, it } from 'vitest';
import { smallProblem } from '../job/testing.ts';
import { drivenSources, fullDrive } from '../physics/sources.ts';
import { FieldKernel, type RowKernel } from './kernel.ts';
import { checkedKernel, checkKernel } from './selfcheck.ts';

const problem = smallProblem();
const sources = drivenSources(problem.emitters, fullDrive(problem.emitters.elements.count));
const origin = [0.001, 0.002, 0.04] as const;

/** A kernel with a flaw in what it gives. */
function flawed(flaw: (parts: Float32Array[]) => void, of: 'pressure' | 'gradient'): RowKernel {
  const sound = new FieldKernel(sources, origin, 0.02);
  return {
    setRow: (x) => sound.setRow(x),
    pressure(y, z) {
      const parts = sound.pressure(y, z);
      if (of === 'pressure') flaw([parts.re, parts.im]);
      return parts;
    },
    gradient(y, z) {
      const parts = sound.gradient(y, z);
      if (of === 'gradient') flaw(parts);
      return parts;
    },
    derivatives: (order, y, z) => sound.derivatives(order, y, z),
  };
}

describe('a kernel', () => {
  it('is used when it agrees with the reference, near its sources as well', () => {
    expect(checkedKernel(sources, origin, 0.02)).toBeInstanceOf(FieldKernel);
    expect(checkedKernel(sources, [0, 0, 0.001], 0.03)).toBeInstanceOf(FieldKernel);
  });

  it.each([
    ['one wrong lane', 'pressure', (parts: Float32Array[]) => (parts[0]![5]! *= 1.01)],
    ['a conjugated phase', 'pressure', (parts: Float32Array[]) => parts[1]!.forEach((v, i) => (parts[1]![i] = -v))],
    ['a number that is none', 'pressure', (parts: Float32Array[]) => (parts[0]![0] = Number.NaN)],
    [
      'a slope of the wrong unit',
      'gradient',
      (parts: Float32Array[]) => parts[6]!.forEach((v, i) => (parts[6]![i] = v / 2)),
    ],
  ] as const)('is refused for %s', (_what, of, flaw) => {
    expect(() => checkKernel(flawed(flaw, of), sources, origin, 0.02)).toThrow(
      expect.objectContaining({ reason: 'KernelRefused', field: 'spec.backend' }),
    );
  });
});
