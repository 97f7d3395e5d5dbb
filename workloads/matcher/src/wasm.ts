// The little that kernels need of WebAssembly; the compiler's library has its types only together with the DOM.
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports?: { env: { memory: SharedMemory } }) => { readonly exports: unknown };
  Memory: new (limits: { initial: number; maximum: number; shared: true }) => SharedMemory;
};

export interface KernelMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** May be posted to another thread, which then has the same bytes. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
}

const page = 65_536;

/** A maker of instances, each with a memory of its own; the kernel is compiled at the first. */
export function kernel<E extends { memory: KernelMemory }>(base64: string): () => E {
  const module = compiled(base64);
  return () => new WebAssembly.Instance(module()).exports as E;
}

/** The same for a kernel that works in memory which threads share: it is given, and never grows. */
export function sharedKernel<E>(base64: string): (memory: SharedMemory) => E {
  const module = compiled(base64);
  return (memory) => new WebAssembly.Instance(module(), { env: { memory } }).exports as E;
}

/** @throws RangeError when the process cannot have so many bytes. */
export function sharedMemory(bytes: number): SharedMemory {
  const pages = Math.ceil(bytes / page);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

/** Grows a memory to at least so many bytes; views of it taken before are no longer valid. */
export function reserve(memory: KernelMemory, bytes: number): void {
  const missing = Math.ceil((bytes - memory.buffer.byteLength) / page);
  if (missing > 0) memory.grow(missing);
}

function compiled(base64: string): () => object {
  let module: object | undefined;
  return () => (module ??= new WebAssembly.Module(Buffer.from(base64, 'base64')));
}
