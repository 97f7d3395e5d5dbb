// A kernel is held to the scalar reference before its first point counts: a wrong one is refused, not used.
import { FieldError } from '../errors.ts';
import { gradientAt } from '../physics/reference.ts';
import type { Sources } from '../physics/sources.ts';
import { FieldKernel, type RowKernel } from './kernel.ts';

const points = 8;
/** Largest difference over what all sources together could give; 32 bits leave a hundredth of it and less. */
const allowed = 3e-4;

/** As the constructor of `FieldKernel`, tried out first. @throws FieldError `KernelRefused` */
export function checkedKernel(sources: Sources, origin: readonly [number, number, number], reach: number): FieldKernel {
  const kernel = new FieldKernel(sources, origin, reach);
  checkKernel(kernel, sources, origin, reach);
  return kernel;
}

/** Pressure and gradient along a row through the middle of where points will be asked for. @throws FieldError `KernelRefused` */
export function checkKernel(
  kernel: RowKernel,
  sources: Sources,
  origin: readonly [number, number, number],
  reach: number,
): void {
  const [x0, y, z] = origin;
  const row = Float64Array.from({ length: points }, (_, i) => x0 + (i / (points - 1) - 0.5) * reach);
  kernel.setRow(row);
  const { re, im } = kernel.pressure(y, z);
  const got = [re.slice(), im.slice(), ...kernel.gradient(y, z).map((part) => part.slice())];
  const want = new Float64Array(8);
  row.forEach((x, i) => {
    gradientAt(sources, x, y, z, want);
    const { loudness, nearest } = loudest(sources, x, y, z);
    // The reference's own gradient holds only for longer paths.
    const slopes = nearest > sources.nearest ? 8 : 2;
    const expected = [want[0]!, want[1]!, ...want];
    for (let part = 0; part < 2 + slopes; part++) {
      const scale = loudness * (part < 4 ? 1 : Math.hypot(sources.wavenumber, 2 / nearest));
      const off = Math.abs(got[part]![i]! - expected[part]!);
      if (off <= allowed * scale) continue;
      const what = part < 2 ? 'pressure' : part < 4 ? 'pressure beside the gradient' : 'gradient';
      throw new FieldError(
        'KernelRefused',
        `the ${what} of the kernel is ${(off / scale).toExponential(1)} off the reference on this machine; use backend Reference`,
        'spec.backend',
      );
    }
  });
}

/** What all sources would give in phase, and the shortest path. */
export function loudest(
  { count, positions, amplitudes, nearest: least }: Sources,
  x: number,
  y: number,
  z: number,
): { loudness: number; nearest: number } {
  let loudness = 0;
  let nearest = Number.POSITIVE_INFINITY;
  for (let s = 0; s < count; s++) {
    const d = Math.hypot(x - positions[s]!, y - positions[count + s]!, z - positions[2 * count + s]!);
    loudness += amplitudes[s]! / Math.max(d, least);
    nearest = Math.min(nearest, d);
  }
  return { loudness, nearest };
}
