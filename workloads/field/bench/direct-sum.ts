// Points per second of the direct sum over 512 pistons on all cores, files written, beside levitate's pressure field and the same sum
// as an expression of torch.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FieldJob, fieldJob, parseStored } from '@quintet/crds';
import { median, type Row, row } from '@quintet/runtime/bench';
import { readPlan } from '../src/job/output.ts';
import { plan } from '../src/job/plan.ts';
import { type Problem, resolve } from '../src/job/problem.ts';
import { openPool, readDrive } from '../src/job/shard.ts';
import { usableCores } from '../src/machine.ts';
import { pressureAt } from '../src/physics/reference.ts';
import { drivenSources } from '../src/physics/sources.ts';
import { chunkCount, pointsOf } from '../src/volume/layout.ts';
import type { Peer } from './python.ts';

export function levitator(spacing: string, edge = '60mm'): FieldJob {
  return parseStored(fieldJob, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'FieldJob',
    metadata: { name: 'levitator' },
    spec: {
      array: { type: 'TwoSided', twoSided: { rows: 16, columns: 16, separation: '200mm' } },
      targets: [{ name: 'bead', position: ['0mm', '0mm', '100mm'], trap: 'Twin' }],
      solver: { phaseLevels: 0 },
      method: 'DirectSum',
      volume: { center: ['0mm', '0mm', '100mm'], size: [edge, edge, edge], spacing },
      output: { persistentVolumeClaim: { claimName: 'fields' } },
    },
  });
}

export const noTables = (): string => {
  throw new Error('no tables');
};

interface PressureAnswer {
  seconds: number;
  cpuSeconds: number;
  re: number[];
  im: number[];
}

export async function directSum(quick: boolean, peer: Peer | undefined): Promise<Row[]> {
  const problem = resolve(levitator(quick ? '1mm' : '0.5mm'), noTables);
  const points = pointsOf(problem.volume);
  const threads = usableCores();
  const size = `T=512 N=${points} ${threads} threads`;
  const runs = quick ? 3 : 7;
  const peerPoints = somePoints(problem, quick ? 300 : 2000);
  const torchPoints = somePoints(problem, quick ? 4096 : 16_384);
  const ours: number[] = [];
  const theirs: number[] = [];
  const oursPerCpu: number[] = [];
  const theirsPerCpu: number[] = [];
  const torchs: number[] = [];
  const torchsPerCpu: number[] = [];
  let answer: PressureAnswer | undefined;
  let torch: PressureAnswer | undefined;
  let phases: Float64Array | undefined;
  for (let n = 0; n < runs; n++) {
    const measured = await computeOnce(problem, threads);
    phases = measured.phases;
    ours.push(points / measured.seconds);
    oursPerCpu.push(points / measured.cpuSeconds);
    answer = await askPeer(peer, 'levitate_pressure', problem, phases, peerPoints);
    torch = await askPeer(peer, 'torch_pressure', problem, phases, torchPoints).catch((error: unknown) => {
      console.error(`without torch: ${(error as Error).message}`);
      return undefined;
    });
    if (answer) {
      theirs.push(peerPoints.length / answer.seconds);
      theirsPerCpu.push(peerPoints.length / answer.cpuSeconds);
    }
    if (torch) {
      torchs.push(torchPoints.length / torch.seconds);
      torchsPerCpu.push(torchPoints.length / torch.cpuSeconds);
    }
  }
  const base = { bench: 'field', size, better: 'higher', metric: 'points', unit: '1/s' } as const;
  const rows = [
    row(
      { ...base, case: 'direct sum', ours: median(ours), peers: theirs.length > 0 ? { levitate: median(theirs) } : {} },
      { absolute: 1.2e6, ratio: 100 },
    ),
    // By processor time: what other work on the machine takes does not show here.
    row({
      ...base,
      case: 'direct sum, one core',
      metric: 'points per CPU second',
      ours: median(oursPerCpu),
      peers: {
        ...(theirsPerCpu.length > 0 && { levitate: median(theirsPerCpu) }),
        ...(torchsPerCpu.length > 0 && { 'torch float32': median(torchsPerCpu) }),
      },
    }),
  ];
  if (torchs.length > 0) {
    const peers = { 'torch float32': median(torchs) };
    rows.push(row({ ...base, case: 'direct sum beside torch', ours: median(ours), peers }, { ratio: 3 }));
  }
  const agreement = (name: string, found: PressureAnswer | undefined, at: number[][]): void => {
    if (!found || !phases) return;
    rows.push(
      row(
        {
          ...base,
          case: `direct sum, agreement with ${name}`,
          size: `T=512 N=${at.length}`,
          better: 'lower',
          metric: 'largest difference',
          unit: 'of largest',
          ours: differenceFrom(problem, phases, at, found),
          peers: {},
        },
        { absolute: 1e-3 },
      ),
    );
  };
  agreement('levitate', answer, peerPoints);
  agreement('torch float32', torch, torchPoints);
  return rows;
}

/** Seconds from the first chunk asked for to the last one on the disk, by threads that are warm. */
async function computeOnce(
  problem: Problem,
  threads: number,
): Promise<{ seconds: number; cpuSeconds: number; phases: Float64Array }> {
  const folder = mkdtempSync(join(tmpdir(), 'quintet-bench-'));
  try {
    plan(problem, folder);
    const { phases } = readDrive(problem, folder, readPlan(folder));
    const pool = openPool(problem, folder, threads);
    const chunks = Array.from({ length: chunkCount(problem.volume) }, (_, i) => i);
    const warm = chunks.splice(0, Math.min(threads, chunks.length - 1));
    await pool.run(warm);
    const start = performance.now();
    const busy = process.cpuUsage();
    await pool.run(chunks);
    const { user, system } = process.cpuUsage(busy);
    const share = chunks.length / (chunks.length + warm.length);
    const seconds = (performance.now() - start) / 1000 / share;
    await pool.close();
    return { seconds, cpuSeconds: (user + system) / 1e6 / share, phases };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function askPeer(
  peer: Peer | undefined,
  ask: 'levitate_pressure' | 'torch_pressure',
  { emitters, frequency, medium }: Problem,
  phases: Float64Array,
  points: number[][],
): Promise<PressureAnswer | undefined> {
  const { elements, pressureAt1m, radius } = emitters;
  return peer?.ask<PressureAnswer>({
    ask,
    positions: Array.from(elements.positions),
    normals: Array.from(elements.normals),
    phases: Array.from(phases),
    points: points.flat(),
    soundSpeed: medium.soundSpeed,
    density: medium.density,
    frequency,
    radius,
    pressureAt1m,
  });
}

/** Of magnitudes: levitate's sign of the phase is the other one where it is. */
function differenceFrom(
  problem: Problem,
  phases: Float64Array,
  points: number[][],
  { re, im }: PressureAnswer,
): number {
  const sources = drivenSources(problem.emitters, { amplitudes: new Float64Array(phases.length).fill(1), phases });
  const value = new Float64Array(2);
  let worst = 0;
  let most = 0;
  points.forEach(([x = 0, y = 0, z = 0], i) => {
    pressureAt(sources, x, y, z, value);
    const own = Math.hypot(value[0]!, value[1]!);
    most = Math.max(most, own);
    worst = Math.max(worst, Math.abs(own - Math.hypot(re[i]!, im[i]!)));
  });
  return worst / most;
}

/** Spread over the middle of the volume without a pattern: a Halton sequence. */
function somePoints({ volume }: Problem, count: number): number[][] {
  return Array.from({ length: count }, (_, i) =>
    [2, 3, 5].map((base, axis) => {
      const from = volume.first[2 - axis]!;
      return from + halton(i + 1, base) * (volume.shape[2 - axis]! - 1) * volume.spacing;
    }),
  );
}

function halton(index: number, base: number): number {
  let value = 0;
  let part = 1 / base;
  for (let i = index; i > 0; i = Math.floor(i / base)) {
    value += part * (i % base);
    part /= base;
  }
  return value;
}
