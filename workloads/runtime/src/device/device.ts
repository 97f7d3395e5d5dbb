// Chooses what to compute on, and says why. A GPU that was not found is never reported as used.
import { QuintetError } from '../errors.ts';
import { gauge, gaugeOf, type Registry } from '../metrics.ts';
import { cpuQuota } from '../work/cgroup.ts';
import { type GpuReading, readGpus } from './nvidia.ts';
import { type WebGpuAdapter, webgpuAdapter } from './webgpu.ts';

export type GpuPolicy = 'Required' | 'Preferred' | 'None';

export type Device =
  | { readonly kind: 'GPU'; readonly name: string; readonly reading: GpuReading | undefined; readonly reason: string }
  | { readonly kind: 'CPU'; readonly name: string; readonly threads: number; readonly reason: string };

export interface DeviceOptions {
  policy: GpuPolicy;
  /** Bytes of free GPU memory needed. */
  minMemory?: number;
  /** Also look for a GPU of another vendor through WebGPU; false when left out. */
  webgpu?: boolean;
  readGpus?: () => Promise<GpuReading[]>;
  webgpuAdapter?: () => Promise<WebGpuAdapter | undefined>;
}

/** The GPU with the most free memory, else the CPU with the reason. Throws `GPU_REQUIRED` under that policy. */
export async function chooseDevice(options: DeviceOptions): Promise<Device> {
  if (options.policy === 'None') return cpu('the policy is None');
  const { gpu, reason } = await findGpu(options);
  if (gpu) return gpu;
  if (options.policy === 'Required') throw new QuintetError('GPU_REQUIRED', { reason });
  return cpu(reason);
}

async function findGpu(options: DeviceOptions): Promise<{ gpu?: Device; reason: string }> {
  const { minMemory = 0 } = options;
  const readings = await (options.readGpus ?? readGpus)();
  const free = (gpu: GpuReading) => (gpu.memoryTotal ?? 0) - (gpu.memoryUsed ?? 0);
  const [best] = [...readings].sort((a, b) => free(b) - free(a));
  if (best && free(best) >= minMemory) {
    return {
      gpu: { kind: 'GPU', name: best.name, reading: best, reason: `most free memory of ${readings.length}` },
      reason: '',
    };
  }
  if (best) return { reason: `the freest GPU, ${best.name}, has ${free(best)} of ${minMemory} bytes free` };
  if (!options.webgpu) return { reason: 'nvidia-smi reports no GPU' };
  const adapter = await (options.webgpuAdapter ?? webgpuAdapter)();
  if (adapter && !adapter.software)
    return {
      gpu: { kind: 'GPU', name: adapter.description, reading: undefined, reason: 'found by WebGPU' },
      reason: '',
    };
  return {
    reason: adapter
      ? `WebGPU offers only ${adapter.description}, which is software`
      : 'neither nvidia-smi nor WebGPU reports a GPU',
  };
}

function cpu(reason: string): Device {
  const threads = cpuQuota();
  return { kind: 'CPU', name: `CPU, ${threads} threads`, threads, reason };
}

/** Shows the device in use and the figures of its GPU (read at most every `maxAge` milliseconds) as metrics. */
export function deviceMetrics(
  registry: Registry,
  device: Device,
  read: () => Promise<GpuReading[]> = readGpus,
  maxAge = 5000,
): void {
  gaugeOf(registry, 'quintet_device_info', '1 for the device in use.', ['kind', 'name'], () => [
    [{ kind: device.kind, name: device.name }, 1],
  ]);
  if (device.kind !== 'GPU' || !device.reading) return;
  const { uuid } = device.reading;
  let last: Promise<GpuReading[]> | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  const latest = async () => {
    if (performance.now() - readAt > maxAge) {
      readAt = performance.now();
      last = read();
    }
    return (await last)?.find((reading) => reading.uuid === uuid);
  };
  const add = (name: string, help: string, figure: (reading: GpuReading) => number | undefined) =>
    gauge(registry, name, help, ['gpu', 'uuid'], async function () {
      const reading = await latest();
      const value = reading && figure(reading);
      // A figure that is not there disappears from the page; the last one would be a lie.
      this.reset();
      if (reading && value !== undefined) this.set({ gpu: String(reading.index), uuid }, value);
    });
  add('quintet_gpu_utilization', 'Share of time that the GPU was busy, 0 to 1.', (reading) => reading.utilization);
  add('quintet_gpu_memory_used_bytes', 'GPU memory in use.', (reading) => reading.memoryUsed);
  add('quintet_gpu_memory_total_bytes', 'GPU memory.', (reading) => reading.memoryTotal);
  add('quintet_gpu_temperature_celsius', 'GPU temperature.', (reading) => reading.temperature);
  add('quintet_gpu_power_watts', 'GPU power draw.', (reading) => reading.power);
  add(
    'quintet_gpu_uncorrected_errors',
    'Memory errors that were not corrected.',
    (reading) => reading.uncorrectedErrors,
  );
}

export interface Comparison {
  readonly cpuSeconds: number;
  /** Undefined when there is no GPU or it failed: nothing was measured, and nothing is claimed. */
  readonly gpuSeconds: number | undefined;
  /** How many times faster the GPU was. */
  readonly speedup: number | undefined;
  readonly faster: 'CPU' | 'GPU';
}

export interface CompareOptions {
  cpu: () => Promise<unknown>;
  gpu?: (() => Promise<unknown>) | undefined;
  /** Rounds that count; 5 when left out. */
  rounds?: number;
  now?: () => number;
}

/** Median time of the same work on both, in alternation; the first round of each warms up and is not counted. */
export async function compareDevices(work: CompareOptions): Promise<Comparison> {
  const { cpu: onCpuDo, rounds = 5, now = () => performance.now() } = work;
  const times = { cpu: [] as number[], gpu: [] as number[] };
  let { gpu } = work;
  const timed = async (what: () => Promise<unknown>) => {
    const started = now();
    await what();
    return (now() - started) / 1000;
  };
  for (let round = 0; round <= rounds; round++) {
    const onCpu = await timed(onCpuDo);
    const onGpu = gpu && (await timed(gpu).catch(() => (gpu = undefined)));
    if (round === 0) continue;
    times.cpu.push(onCpu);
    if (onGpu !== undefined) times.gpu.push(onGpu);
  }
  const cpuSeconds = median(times.cpu);
  const gpuSeconds = gpu ? median(times.gpu) : undefined;
  const speedup = gpuSeconds === undefined ? undefined : cpuSeconds / gpuSeconds;
  return { cpuSeconds, gpuSeconds, speedup, faster: (speedup ?? 0) > 1 ? 'GPU' : 'CPU' };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
