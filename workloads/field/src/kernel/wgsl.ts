// The direct sum on a GPU: one thread a point, sources through shared memory, in 32-bit floats as the WebAssembly kernel does.
// Lengths are half wavelengths from the middle of the points.

/** Threads of a group, each of which brings one source at a time. */
export const groupSize = 64;

/** Floats of a source: position and phase (half turns), normal and amplitude. */
export const sourceFloats = 8;

/**
 * The shader, for a directivity of so many coefficients in powers of cos² - 1/2. Sine and cosine are polynomials: those of the
 * language may be as much as 2⁻¹¹ off.
 */
export function directSumShader(coefficients: number): string {
  return `
struct Grid {
  first: vec4f,     // of the first point, and the step
  shape: vec4u,     // points along x, y, z, and sources
  waves: vec4f,     // nearest, absorption
  directivity: array<vec4f, ${Math.ceil(coefficients / 4)}>,
}
@group(0) @binding(0) var<uniform> grid: Grid;
@group(0) @binding(1) var<storage, read> sources: array<array<vec4f, 2>>;
@group(0) @binding(2) var<storage, read_write> pressure: array<vec2f>;
var<workgroup> near: array<array<vec4f, 2>, ${groupSize}>;

fn gain(u: f32) -> f32 {
  var sum = 0.0;
  for (var i = ${coefficients - 1}; i >= 0; i--) { sum = sum * u + grid.directivity[i / 4][i % 4]; }
  return sum;
}

// cos and sin of pi·x.
fn turned(x: f32) -> vec2f {
  let whole = round(x);
  let r = (x - whole) * 3.14159265358979;
  let s = r * r;
  let sine = r * (1.0 + s * (-0.16666666 + s * (8.3333310e-3 + s * (-1.9840874e-4 + s * 2.7525562e-6))));
  let cosine = 1.0 + s * (-0.5 + s * (4.1666665e-2 + s * (-1.3888889e-3 + s * (2.4801587e-5 + s * -2.7557319e-7))));
  let sign = 1.0 - 2.0 * abs(whole - 2.0 * floor(whole / 2.0));
  return sign * vec2f(cosine, sine);
}

@compute @workgroup_size(${groupSize})
fn sum(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = (group.y * groups.x + group.x) * ${groupSize}u + lane;
  let shape = grid.shape;
  let row = n / shape.x;
  let here = grid.first.xyz + grid.first.w * vec3f(f32(n % shape.x), f32(row % shape.y), f32(row / shape.y));
  var found = vec2f(0.0);
  for (var begin = 0u; begin < shape.w; begin += ${groupSize}u) {
    if (begin + lane < shape.w) { near[lane] = sources[begin + lane]; }
    workgroupBarrier();
    let count = min(${groupSize}u, shape.w - begin);
    for (var i = 0u; i < count; i++) {
      let at = near[i][0];
      let facing = near[i][1];
      let path = here - at.xyz;
      let d = length(path);
      let far = max(d, grid.waves.x);
      let cosine = dot(path, facing.xyz) / far;
      let size = facing.w / far * gain(cosine * cosine - 0.5) * exp(-grid.waves.y * d);
      found += size * turned(d + at.w);
    }
    workgroupBarrier();
  }
  if (n < shape.x * shape.y * shape.z) { pressure[n] = found; }
}
`;
}
