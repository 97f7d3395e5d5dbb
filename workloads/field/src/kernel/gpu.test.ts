import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runStep, smallJob, smallProblem, temporaryFolder } from '../job/testing.ts';
import { pressureAt } from '../physics/reference.ts';
import { drivenSources, fullDrive } from '../physics/sources.ts';
import { chunkBlock, coordinate } from '../volume/layout.ts';
import { checkBlock } from './gpu.ts';

/** Chromium brings a Vulkan of its own that needs no GPU. */
const chromium = '/usr/lib/chromium';
const software = ['vk_swiftshader_icd.json', 'libvk_swiftshader.so', 'libvulkan.so.1'].every((file) =>
  existsSync(join(chromium, file)),
);
const withSoftware = { VK_ICD_FILENAMES: join(chromium, 'vk_swiftshader_icd.json'), LD_LIBRARY_PATH: chromium };
const withNone = { VK_ICD_FILENAMES: '/none', VK_DRIVER_FILES: '/none' };
const gpu = { policy: 'Required' };

interface Summary {
  backends?: { name: string; reason: string; shards: number }[];
  throughput: { backend: string };
}

async function compute(
  changes: Record<string, unknown>,
  env: Record<string, string>,
): Promise<[Summary, Float32Array]> {
  const folder = temporaryFolder();
  const job = smallJob({ shards: { max: 1 }, method: 'DirectSum', ...changes });
  for (const step of ['plan', 'shard', 'finish'] as const) {
    const { code, report } = await runStep(job, folder, step, { env });
    expect({ code, report }).toMatchObject({ code: 0 });
  }
  const bytes = readFileSync(join(folder, 'pressure/c/0/0/0'));
  return [
    JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8')) as Summary,
    new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length - 4)),
  ];
}

describe('the direct sum on a GPU', { timeout: 120_000 }, () => {
  // Skipped where Debian's chromium, whose Vulkan computes without a GPU, is not installed.
  it.skipIf(!software)('is that of the processors, on a Vulkan in software (of /usr/lib/chromium)', async () => {
    const medium = { absorption: 'Enabled', humidity: '40%' };
    const [summary, own] = await compute({ backend: 'GPU', gpu, medium }, withSoftware);
    const [, truth] = await compute({ backend: 'Reference', medium }, withSoftware);
    const most = truth.reduce((largest, each) => Math.max(largest, Math.abs(each)), 0);
    expect(Math.max(...own.map((each, i) => Math.abs(each - truth[i]!))) / most).toBeLessThan(1e-5);
    expect(summary.throughput.backend).toBe('GPU');
    expect(summary.backends).toEqual([
      {
        name: 'GPU',
        shards: 1,
        reason: expect.stringMatching(/^required: .* s on SwiftShader.* threads, as measured$/),
      },
    ]);
  });

  it.skipIf(!software)('is left to processors where they are measured to be faster, with the reason', async () => {
    const [summary] = await compute({ backend: 'Auto', gpu: { policy: 'Preferred' } }, withSoftware);
    expect(summary.throughput.backend).toBe('CPU');
    expect(summary.backends?.[0]?.reason).toMatch(/s on SwiftShader.* against .* s on \d+ threads, as measured/);
  });

  it('is left to processors where there is none, and refused with the field where one is required', async () => {
    const [summary] = await compute({ backend: 'Auto', gpu: { policy: 'Preferred' } }, withNone);
    expect(summary.backends).toEqual([{ name: 'CPU', shards: 1, reason: expect.stringMatching(/^no GPU/) }]);
    const folder = temporaryFolder();
    const job = smallJob({ shards: { max: 1 }, backend: 'GPU', gpu });
    expect((await runStep(job, folder, 'plan', { env: withNone })).code).toBe(0);
    const { code, report } = await runStep(job, folder, 'shard', { env: withNone });
    expect(code).toBe(78);
    expect(report).toMatchObject({ error: { reason: 'Unsupported', field: 'spec.backend' } });
  });

  it('is refused where a point is off the reference', () => {
    const { emitters, volume } = smallProblem();
    const sources = drivenSources(emitters, fullDrive(emitters.elements.count));
    const block = chunkBlock(volume, 0);
    const [nz, ny, nx] = block.shape;
    const value = new Float64Array(2);
    const pressure = new Float32Array(2 * nz * ny * nx);
    for (let i = 0; i < nz * ny * nx; i++) {
      const at = [i % nx, Math.floor(i / nx) % ny, Math.floor(i / nx / ny)];
      pressureAt(
        sources,
        coordinate(volume, 2, at[0]!),
        coordinate(volume, 1, at[1]!),
        coordinate(volume, 0, at[2]!),
        value,
      );
      pressure.set(value, 2 * i);
    }
    expect(() => checkBlock(sources, volume, block, pressure)).not.toThrow();
    expect(() =>
      checkBlock(
        sources,
        volume,
        block,
        pressure.map((each) => each * 1.01),
      ),
    ).toThrow(expect.objectContaining({ reason: 'KernelRefused', field: 'spec.backend' }));
    expect(() => checkBlock(sources, volume, block, pressure.fill(Number.NaN))).toThrow(/off the reference/);
  });
});
