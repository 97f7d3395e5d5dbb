// The field at one point in 64-bit floats, term by term as the formula reads: slow, and the truth the kernels are held to.
import type { Sources } from './sources.ts';

let waves = new Float64Array(0);

/** Writes real and imaginary part of the complex pressure (Pa, peak) at (x, y, z) metres to `out`. */
export function pressureAt(sources: Sources, x: number, y: number, z: number, out: Float64Array): void {
  if (waves.length < 2 * sources.count) waves = new Float64Array(2 * sources.count);
  wavesAt(sources, x, y, z, waves);
  let re = 0;
  let im = 0;
  for (let i = 0; i < 2 * sources.count; i += 2) {
    re += waves[i]!;
    im += waves[i + 1]!;
  }
  out[0] = re;
  out[1] = im;
}

/** What each source adds to the pressure at (x, y, z): real and imaginary part of one after the other, to `out`. */
export function wavesAt(sources: Sources, x: number, y: number, z: number, out: Float64Array): void {
  const { count, positions, normals, amplitudes, phases, directivity, wavenumber, attenuation, nearest } = sources;
  for (let s = 0; s < count; s++) {
    const dx = x - positions[s]!;
    const dy = y - positions[count + s]!;
    const dz = z - positions[2 * count + s]!;
    const d = Math.sqrt(dx * dx + dy * dy + dz * dz);
    const far = Math.max(d, nearest);
    const cos = (normals[s]! * dx + normals[count + s]! * dy + normals[2 * count + s]! * dz) / far;
    const size = (amplitudes[s]! / far) * directivity.gain(cos * cos) * Math.exp(-attenuation * d);
    const angle = wavenumber * d + phases[s]!;
    out[2 * s] = size * Math.cos(angle);
    out[2 * s + 1] = size * Math.sin(angle);
  }
}

/**
 * Pressure and its gradient: real and imaginary parts of p, ∂p/∂x, ∂p/∂y, ∂p/∂z to `out` (8 numbers).
 * Exact for paths longer than `nearest`.
 */
export function gradientAt(sources: Sources, x: number, y: number, z: number, out: Float64Array): void {
  const { count, positions, normals, amplitudes, phases, directivity, wavenumber, attenuation, nearest } = sources;
  out.fill(0, 0, 8);
  for (let s = 0; s < count; s++) {
    const path = [x - positions[s]!, y - positions[count + s]!, z - positions[2 * count + s]!];
    const [dx = 0, dy = 0, dz = 0] = path;
    const normal = [normals[s]!, normals[count + s]!, normals[2 * count + s]!];
    const d = Math.sqrt(dx * dx + dy * dy + dz * dz);
    const far = Math.max(d, nearest);
    const cos = (normal[0]! * dx + normal[1]! * dy + normal[2]! * dz) / far;
    const gain = directivity.gain(cos * cos);
    const slope = directivity.slope(cos * cos);
    const size = (amplitudes[s]! / far) * Math.exp(-attenuation * d);
    const angle = wavenumber * d + phases[s]!;
    const waveRe = size * Math.cos(angle);
    const waveIm = size * Math.sin(angle);
    out[0]! += waveRe * gain;
    out[1]! += waveIm * gain;
    // ∇p = wave·((a + i·b)·path + turn·normal)
    const turn = (2 * slope * cos) / far;
    const a = -(gain * (1 / far + attenuation) + turn * cos) / far;
    const b = (gain * wavenumber) / far;
    for (let axis = 0; axis < 3; axis++) {
      out[2 + 2 * axis]! += (waveRe * a - waveIm * b) * path[axis]! + waveRe * turn * normal[axis]!;
      out[3 + 2 * axis]! += (waveRe * b + waveIm * a) * path[axis]! + waveIm * turn * normal[axis]!;
    }
  }
}
