// A GPU, where the machine has one that WebGPU reaches, and the direct sum on it. Nothing here is needed: without a GPU, or where one
// computes wrongly, processors do the work.
import { FieldError } from '../errors.ts';
import { directivityPolynomial } from '../physics/directivity.ts';
import { pressureAt } from '../physics/reference.ts';
import type { Sources } from '../physics/sources.ts';
import { type Block, coordinate, type Volume } from '../volume/layout.ts';
import { longest32 } from './kernel.ts';
import { loudest } from './selfcheck.ts';
import { directSumShader, groupSize, sourceFloats } from './wgsl.ts';

/** As much of WebGPU as is used here. */
interface Device {
  readonly queue: {
    writeBuffer(buffer: object, offset: number, data: Float32Array | Uint8Array): void;
    submit(commands: object[]): void;
  };
  readonly limits: { readonly maxStorageBufferBindingSize: number; readonly maxComputeWorkgroupsPerDimension: number };
  readonly lost: Promise<{ readonly message: string }>;
  createBuffer(description: { size: number; usage: number }): Buffer;
  createShaderModule(description: { code: string }): object;
  createComputePipeline(description: object): { getBindGroupLayout(index: number): object };
  createBindGroup(description: object): object;
  createCommandEncoder(): {
    beginComputePass(): {
      setPipeline(pipeline: object): void;
      setBindGroup(index: number, group: object): void;
      dispatchWorkgroups(x: number, y: number): void;
      end(): void;
    };
    copyBufferToBuffer(from: object, at: number, to: object, offset: number, size: number): void;
    finish(): object;
  };
  destroy(): void;
}
interface Buffer {
  mapAsync(mode: number): Promise<void>;
  getMappedRange(): ArrayBuffer;
  unmap(): void;
  destroy(): void;
}
interface Adapter {
  readonly info: { readonly vendor: string; readonly architecture: string; readonly description: string };
  requestDevice(): Promise<Device>;
}
interface WebGpu {
  create(flags: string[]): { requestAdapter(): Promise<Adapter | null> };
}

const usage = { mapRead: 1, copySource: 4, copyTo: 8, uniform: 64, storage: 128 } as const;

export interface Gpu {
  readonly name: string;
  readonly device: Device;
}

let found: Promise<Gpu | string> | undefined;

/** The machine's GPU, or why there is none. */
export function findGpu(): Promise<Gpu | string> {
  found ??= openGpu().catch((error: unknown) => `no GPU: ${(error as Error).message}`);
  return found;
}

async function openGpu(): Promise<Gpu | string> {
  // Not a static import: its library must not be loaded where no GPU is asked for, and may be missing.
  const webgpu = (await import('webgpu')) as unknown as WebGpu;
  const api = webgpu.create([]);
  // What `create` gives must outlive all that is made from it.
  Object.assign(globalThis, { quintetWebGpu: api });
  const adapter = await api.requestAdapter();
  if (!adapter) return 'no GPU: WebGPU finds no adapter on this machine';
  const { vendor, architecture, description } = adapter.info;
  return { name: description || `${vendor} ${architecture}`.trim(), device: await adapter.requestDevice() };
}

/** Sums one set of sources over blocks of a volume. */
export class GpuField {
  readonly #gpu: Gpu;
  readonly sources: Sources;
  readonly #volume: Volume;
  readonly #scale: number;
  readonly #coefficients: Float64Array;
  readonly #pipeline: ReturnType<Device['createComputePipeline']>;
  readonly #table: Buffer;
  readonly #middle: readonly [number, number, number];

  /** @throws FieldError `KernelRefused` when 32 bits or the GPU's limits do not hold the problem. */
  constructor(gpu: Gpu, sources: Sources, volume: Volume) {
    const coefficients = directivityPolynomial(sources.directivity);
    if (!coefficients) throw refused('the directivity is too sharp for the kernel');
    this.#gpu = gpu;
    this.sources = sources;
    this.#volume = volume;
    this.#coefficients = coefficients;
    this.#scale = sources.wavenumber / Math.PI;
    this.#middle = ([2, 1, 0] as const).map(
      (axis) => volume.first[axis] + ((volume.shape[axis] - 1) / 2) * volume.spacing,
    ) as [number, number, number];
    const { device } = gpu;
    const { count, positions, normals, phases, amplitudes } = sources;
    const table = new Float32Array(Math.max(1, count) * sourceFloats);
    let longest = 0;
    for (let s = 0; s < count; s++) {
      const at = [0, 1, 2].map((axis) => (positions[axis * count + s]! - this.#middle[axis]!) * this.#scale);
      const turns = phases[s]! / Math.PI;
      table.set([...at, turns - 2 * Math.round(turns / 2)], s * sourceFloats);
      const normal = [0, 1, 2].map((axis) => normals[axis * count + s]!);
      table.set([...normal, amplitudes[s]! * this.#scale], s * sourceFloats + 4);
      longest = Math.max(longest, Math.hypot(...at));
    }
    const reach = Math.hypot(...volume.shape.map((n) => ((n - 1) / 2) * volume.spacing)) * this.#scale;
    if (longest + reach > longest32) throw refused('paths are too long for the phase in 32 bits');
    if (table.byteLength > device.limits.maxStorageBufferBindingSize) throw refused('too many sources for one buffer');
    this.#pipeline = device.createComputePipeline({
      layout: 'auto',
      compute: { module: device.createShaderModule({ code: directSumShader(coefficients.length) }), entryPoint: 'sum' },
    });
    this.#table = device.createBuffer({ size: table.byteLength, usage: usage.storage | usage.copyTo });
    device.queue.writeBuffer(this.#table, 0, table);
  }

  /** Complex pressure of the block's points in C order, real and imaginary parts by turns. @throws FieldError `KernelRefused` */
  async block({ start, shape }: Block): Promise<Float32Array> {
    const { device } = this.#gpu;
    const points = shape[0] * shape[1] * shape[2];
    const bytes = 8 * points;
    const groups = Math.ceil(points / groupSize);
    const across = Math.min(groups, device.limits.maxComputeWorkgroupsPerDimension);
    if (bytes > device.limits.maxStorageBufferBindingSize) throw refused('a chunk is too large for one buffer');
    const uniforms = this.#uniformsOf(start, shape);
    const grid = device.createBuffer({ size: uniforms.byteLength, usage: usage.uniform | usage.copyTo });
    const out = device.createBuffer({ size: bytes, usage: usage.storage | usage.copySource });
    const read = device.createBuffer({ size: bytes, usage: usage.mapRead | usage.copyTo });
    try {
      device.queue.writeBuffer(grid, 0, uniforms);
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(this.#pipeline);
      const entries = [grid, this.#table, out].map((buffer, binding) => ({ binding, resource: { buffer } }));
      pass.setBindGroup(0, device.createBindGroup({ layout: this.#pipeline.getBindGroupLayout(0), entries }));
      pass.dispatchWorkgroups(across, Math.ceil(groups / across));
      pass.end();
      encoder.copyBufferToBuffer(out, 0, read, 0, bytes);
      device.queue.submit([encoder.finish()]);
      await Promise.race([read.mapAsync(1), device.lost.then(({ message }) => Promise.reject(refused(message)))]);
      return new Float32Array(read.getMappedRange()).slice();
    } finally {
      for (const buffer of [grid, out, read]) buffer.destroy();
    }
  }

  close(): void {
    this.#table.destroy();
  }

  #uniformsOf(start: readonly number[], shape: readonly number[]): Uint8Array {
    const bytes = new Uint8Array(16 * (3 + Math.ceil(this.#coefficients.length / 4)));
    const floats = new Float32Array(bytes.buffer);
    const { first, spacing } = this.#volume;
    [2, 1, 0].forEach((axis, i) => {
      floats[i] = (first[axis]! + start[axis]! * spacing - this.#middle[i]!) * this.#scale;
    });
    floats[3] = spacing * this.#scale;
    new Uint32Array(bytes.buffer).set([shape[2]!, shape[1]!, shape[0]!, this.sources.count], 4);
    floats[8] = this.sources.nearest * this.#scale;
    floats[9] = this.sources.attenuation / this.#scale;
    floats.set(this.#coefficients, 12);
    return bytes;
  }
}

const checkedPoints = 16;
/** As the WebAssembly kernel is held to. */
const allowed = 3e-4;

/** Some points of a block against the scalar reference. @throws FieldError `KernelRefused` */
export function checkBlock(sources: Sources, volume: Volume, { start, shape }: Block, pressure: Float32Array): void {
  const value = new Float64Array(2);
  const points = pressure.length / 2;
  for (let n = 0; n < checkedPoints; n++) {
    const i = Math.floor((n * (points - 1)) / (checkedPoints - 1));
    const at = [Math.floor(i / shape[2] / shape[1]), Math.floor(i / shape[2]) % shape[1], i % shape[2]];
    const [z, y, x] = ([0, 1, 2] as const).map((axis) => coordinate(volume, axis, start[axis] + at[axis]!));
    pressureAt(sources, x!, y!, z!, value);
    const off = Math.hypot(pressure[2 * i]! - value[0]!, pressure[2 * i + 1]! - value[1]!);
    const { loudness } = loudest(sources, x!, y!, z!);
    if (!(off <= allowed * loudness))
      throw refused(`pressure is ${(off / loudness).toExponential(1)} off the reference`);
  }
}

function refused(why: string): FieldError {
  return new FieldError('KernelRefused', `the GPU is not used: ${why}`, 'spec.backend');
}
