// A list of chunks on a GPU, one after the other, stored as threads store theirs.
import { checkBlock, type GpuField } from '../kernel/gpu.ts';
import { chunkBlock } from '../volume/layout.ts';
import type { ListOptions } from './pool.ts';
import { type ChunkResult, ChunkStore, type Stored } from './store.ts';

/** As `ChunkPool.run` and `sync`. Some points of each chunk are held to the reference. @throws FieldError */
export async function gpuChunks(
  field: GpuField,
  stored: Stored,
  chunks: readonly number[],
  { onChunk, signal }: ListOptions,
): Promise<ChunkResult[]> {
  const store = new ChunkStore(stored);
  const results: ChunkResult[] = [];
  for (const chunk of chunks) {
    signal?.throwIfAborted();
    let result = store.find(chunk);
    if (!result) {
      const block = chunkBlock(stored.volume, chunk);
      const pressure = await field.block(block);
      checkBlock(field.sources, stored.volume, block, pressure);
      result = store.write(chunk, ({ shape }) => {
        for (let iz = 0; iz < shape[0]; iz++) {
          for (let iy = 0; iy < shape[1]; iy++) {
            const from = 2 * (iz * shape[1] + iy) * shape[2];
            store.row(iz, iy, (_quantity, out, at) => out.set(pressure.subarray(from, from + 2 * shape[2]), at));
          }
        }
      });
      store.sync(chunk);
    }
    results.push(result);
    onChunk?.(result);
  }
  return results;
}
