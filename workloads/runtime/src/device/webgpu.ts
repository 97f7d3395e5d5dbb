// Whether WebGPU (Dawn, by the optional package `webgpu`) finds a real GPU. A rasteriser in software is told apart: it is a CPU.

export interface WebGpuAdapter {
  readonly vendor: string;
  readonly description: string;
  /** llvmpipe, SwiftShader, WARP: correct, and no faster than the CPU that it is. */
  readonly software: boolean;
}

interface Gpu {
  requestAdapter: (
    options?: object,
  ) => Promise<{ info: { vendor: string; description: string; device: string; isFallbackAdapter?: boolean } } | null>;
}

const keep = globalThis as { quintetGpu?: Gpu };
const softwareNames = /llvmpipe|lavapipe|swiftshader|software|warp|microsoft basic render/i;

/** Undefined without the package, without a driver, or when no adapter comes within `timeout` milliseconds. */
export async function webgpuAdapter(
  load: () => Promise<unknown> = importDawn,
  timeout = 10_000,
): Promise<WebGpuAdapter | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), timeout)));
  try {
    return await Promise.race([adapter(load), late]);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

async function adapter(load: () => Promise<unknown>): Promise<WebGpuAdapter | undefined> {
  const { create } = (await load()) as { create: (flags: string[]) => Gpu };
  // Dawn crashes when its instance is collected while adapters live: it is kept for good.
  keep.quintetGpu ??= create([]);
  const found = await keep.quintetGpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!found) return undefined;
  const { vendor, description, device, isFallbackAdapter } = found.info;
  return {
    vendor,
    description: description || device,
    software: isFallbackAdapter === true || softwareNames.test(`${vendor} ${description} ${device}`),
  };
}

/** The name is not a literal: the package is optional, and its absence no error of the compiler. */
function importDawn(): Promise<unknown> {
  const name = 'webgpu';
  return import(name);
}
