import { describe, expect, it, vi } from 'vitest';
import { FieldError } from '../errors.ts';
import type { GpuField } from '../kernel/gpu.ts';
import { finish } from './finish.ts';
import { readPlan } from './output.ts';
import { plan } from './plan.ts';
import { readMarker, shard } from './shard.ts';
import { resultFiles, smallProblem, temporaryFolder } from './testing.ts';

const closed = vi.fn<() => void>();
/** A GPU that is lost at its first block. */
const lost = {
  block: async () => {
    throw new FieldError('KernelRefused', 'the GPU is not used: it is lost', 'spec.backend');
  },
  close: closed,
} as unknown as GpuField;
vi.mock('./backend.ts', () => ({ chooseBackend: async () => ({ name: 'GPU', reason: 'measured', gpu: lost }) }));

describe('a GPU that fails in the middle of a shard', () => {
  const limits = { memory: 2 ** 34, threads: 1 };
  const problem = smallProblem({ method: 'DirectSum', shards: { max: 1 } });

  it('is closed, and processors go on where it is not required', async () => {
    const [folder, other] = [temporaryFolder(), temporaryFolder()];
    plan(problem, folder, limits);
    const preferred = { ...problem, gpu: 'Auto' } as const;
    await shard(preferred, folder, 0, { threads: 1 });
    expect(closed).toHaveBeenCalledOnce();
    expect(readMarker(folder, readPlan(folder), 0)).toMatchObject({
      backend: 'CPU',
      backendReason: 'the GPU failed: the GPU is not used: it is lost',
    });
    await finish(preferred, folder);
    plan(problem, other, limits);
    await finish(preferred, other);
    expect(resultFiles(folder)).toEqual(resultFiles(other));
  });

  it('ends the shard where it is required', async () => {
    const folder = temporaryFolder();
    plan(problem, folder, limits);
    await expect(shard({ ...problem, gpu: 'Required' }, folder, 0, { threads: 1 })).rejects.toThrow(/it is lost/);
  });
});
