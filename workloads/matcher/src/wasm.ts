// The little that kernels need of WebAssembly; the compiler's library has its types only together with the DOM.
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: unknown };
};

export interface KernelMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

const page = 65_536;

/** A maker of instances, each with a memory of its own; the kernel is compiled at the first. */
export function kernel<E extends { memory: KernelMemory }>(base64: string): () => E {
  let module: object | undefined;
  return () => {
    module ??= new WebAssembly.Module(Buffer.from(base64, 'base64'));
    return new WebAssembly.Instance(module).exports as E;
  };
}

/** Grows a memory to at least so many bytes; views of it taken before are no longer valid. */
export function reserve(memory: KernelMemory, bytes: number): void {
  const missing = Math.ceil((bytes - memory.buffer.byteLength) / page);
  if (missing > 0) memory.grow(missing);
}
