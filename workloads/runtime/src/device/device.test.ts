import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { chooseDevice, compareDevices, deviceMetrics } from './device.ts';
import { parseGpus, readGpus } from './nvidia.ts';
import { webgpuAdapter } from './webgpu.ts';

const page = `0, NVIDIA H200, GPU-11111111-2222-3333-4444-555555555555, 143771, 1024, 37, 45, 312.55, 0
1, NVIDIA H200, GPU-99999999-2222-3333-4444-555555555555, 143771, 143000, 99, 71, [N/A], [N/A]
`;
const gpus = parseGpus(page);

describe('nvidia-smi', () => {
  test('is read in bytes, shares, degrees and watts; what a device cannot tell stays unknown', () => {
    expect(gpus[0]).toMatchObject({
      index: 0,
      memoryTotal: 143771 * 2 ** 20,
      utilization: 0.37,
      temperature: 45,
      power: 312.55,
      uncorrectedErrors: 0,
    });
    expect(gpus[1]).toMatchObject({ power: undefined, uncorrectedErrors: undefined });
  });

  test.each([
    '',
    'No devices were found',
    'NVIDIA-SMI has failed because it could not communicate',
    '0, only, GPU-x',
    'a,b,c,d,e,f,g,h,i',
  ])('yields no GPU from %j', (text) => expect(parseGpus(text)).toEqual([]));

  test('that is missing, fails or hangs yields no GPU', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'quintet-smi-'));
    const script = async (name: string, text: string) => {
      const path = join(directory, name);
      await writeFile(path, `#!/bin/sh\n${text}\n`);
      await chmod(path, 0o755);
      return path;
    };
    expect(await readGpus(join(directory, 'absent'))).toEqual([]);
    expect(await readGpus(await script('fails', 'exit 9'))).toEqual([]);
    expect(await readGpus(await script('hangs', 'exec sleep 60'), 100)).toEqual([]);
    expect(await readGpus(await script('works', `cat <<END\n${page}END`))).toEqual(gpus);
    await rm(directory, { recursive: true });
  });
});

describe('choosing a device', () => {
  const none = async () => [];
  test('takes the GPU with the most free memory', async () => {
    expect(await chooseDevice({ policy: 'Preferred', readGpus: async () => gpus })).toMatchObject({
      kind: 'GPU',
      reading: { index: 0 },
    });
  });
  test('falls back to the CPU and says why', async () => {
    expect(await chooseDevice({ policy: 'Preferred', readGpus: none })).toMatchObject({
      kind: 'CPU',
      reason: 'nvidia-smi reports no GPU',
    });
    const needy = await chooseDevice({ policy: 'Preferred', minMemory: 2 ** 50, readGpus: async () => gpus });
    expect(needy).toMatchObject({ kind: 'CPU', reason: expect.stringContaining('NVIDIA H200') });
  });
  test('refuses to start without the GPU that is required', async () => {
    await expect(chooseDevice({ policy: 'Required', readGpus: none })).rejects.toMatchObject({ code: 'GPU_REQUIRED' });
  });
  test('does not take a software rasteriser for a GPU', async () => {
    const adapter = { vendor: 'mesa', description: 'llvmpipe (LLVM 15)', software: true };
    const device = await chooseDevice({
      policy: 'Preferred',
      webgpu: true,
      readGpus: none,
      webgpuAdapter: async () => adapter,
    });
    expect(device).toMatchObject({ kind: 'CPU', reason: expect.stringContaining('software') });
  });
  test('finds no WebGPU where the package or its driver is missing', async () => {
    expect(await webgpuAdapter(async () => Promise.reject(new Error('no such package')))).toBeUndefined();
    expect(await webgpuAdapter(() => new Promise(() => undefined), 20)).toBeUndefined();
  });
});

describe('the metrics of a device', () => {
  test('show the figures of the GPU in use, and none that it does not have', async () => {
    const registry = new Registry();
    const [, second] = gpus;
    deviceMetrics(registry, { kind: 'GPU', name: 'NVIDIA H200', reading: second, reason: '' }, async () => gpus);
    const text = await registry.metrics();
    expect(text).toContain('quintet_gpu_utilization{gpu="1",uuid="GPU-99999999-2222-3333-4444-555555555555"} 0.99');
    expect(text).not.toMatch(/^quintet_gpu_power_watts\{/m);
  });
  test('show no GPU where there is none', async () => {
    const registry = new Registry();
    deviceMetrics(registry, await chooseDevice({ policy: 'Preferred', readGpus: async () => [] }));
    const text = await registry.metrics();
    expect(text).toContain('quintet_device_info{kind="CPU"');
    expect(text).not.toContain('quintet_gpu');
  });
});

describe('comparing CPU and GPU', () => {
  let clock = 0;
  const now = () => clock;
  const busy = (milliseconds: number) => async () => {
    clock += milliseconds;
  };
  test('claims no speed of a GPU that is absent or failed', async () => {
    expect(await compareDevices({ cpu: busy(1), rounds: 2, now })).toMatchObject({
      gpuSeconds: undefined,
      speedup: undefined,
      faster: 'CPU',
    });
    const failing = await compareDevices({
      cpu: busy(1),
      gpu: async () => Promise.reject(new Error('device lost')),
      rounds: 2,
      now,
    });
    expect(failing).toMatchObject({ gpuSeconds: undefined, faster: 'CPU' });
  });
  test('picks the faster one', async () => {
    expect((await compareDevices({ cpu: busy(20), gpu: busy(1), rounds: 3, now })).faster).toBe('GPU');
    expect((await compareDevices({ cpu: busy(1), gpu: busy(20), rounds: 3, now })).faster).toBe('CPU');
  });
});
