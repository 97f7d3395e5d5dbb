// A result as zarr-python and xarray read it, against what summary.json says.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Row, row } from '@quintet/runtime/bench';
import { finish } from '../src/job/finish.ts';
import { plan } from '../src/job/plan.ts';
import { resolve } from '../src/job/problem.ts';
import { shard } from '../src/job/shard.ts';
import { levitator, noTables } from './direct-sum.ts';
import type { Peer } from './python.ts';

export interface ZarrAnswer {
  shape: number[];
  dtype: string;
  largest: number;
  /** z, y, x of the largest. */
  at: number[];
  dims: string[];
  corner: [number, number];
  arrays: string[];
}

export async function readers(peer: Peer | undefined): Promise<Row[]> {
  if (!peer) return [];
  const folder = mkdtempSync(join(tmpdir(), 'quintet-bench-'));
  try {
    const problem = resolve(levitator('1mm', '30mm'), noTables);
    const { shards, points } = plan(problem, folder);
    for (let index = 0; index < shards; index++) await shard(problem, folder, index);
    await finish(problem, folder);
    const { maxPressure } = JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8')) as {
      maxPressure: { pascals: number };
    };
    const read = await peer.ask<ZarrAnswer>({ ask: 'zarr_read', folder });
    const difference = Math.abs(read.largest / maxPressure.pascals - 1);
    const measured = {
      bench: 'field',
      case: 'read by zarr-python and xarray',
      size: `N=${points} ${read.dtype} ${read.dims.join(',')}`,
      metric: 'difference of the largest pressure',
      unit: 'of it',
      better: 'lower',
      ours: difference,
      peers: {},
    } as const;
    return [row(measured, { absolute: 1e-6 })];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
