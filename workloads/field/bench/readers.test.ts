import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { finish } from '../src/job/finish.ts';
import { plan } from '../src/job/plan.ts';
import { shard } from '../src/job/shard.ts';
import { smallProblem, temporaryFolder } from '../src/job/testing.ts';
import { peerPython, startPeer } from './python.ts';
import type { ZarrAnswer } from './readers.ts';

const found = peerPython(false);

it.skipIf(found.missing !== undefined)(
  `zarr-python and xarray read what is written${found.missing ? ` (skipped: ${found.missing})` : ''}`,
  { timeout: 60_000 },
  async () => {
    const folder = temporaryFolder();
    const problem = smallProblem({ quantities: ['GorkovPotential', 'Velocity', 'Intensity'] });
    plan(problem, folder);
    await shard(problem, folder, 0);
    await finish(problem, folder);
    const summary = JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8')) as {
      maxPressure: { pascals: number; at: number[] };
    };
    const peer = startPeer(found.python!);
    try {
      const read = await peer.ask<ZarrAnswer>({ ask: 'zarr_read', folder });
      expect(read).toMatchObject({
        shape: [13, 11, 21],
        dtype: 'complex64',
        dims: ['z', 'y', 'x'],
        arrays: ['gorkov_potential', 'intensity', 'pressure', 'velocity'],
      });
      expect(read.largest / summary.maxPressure.pascals).toBeCloseTo(1, 6);
      read.at.toReversed().forEach((value, axis) => expect(value).toBeCloseTo(summary.maxPressure.at[axis]!, 9));
      const bytes = readFileSync(join(folder, 'pressure/c/0/0/0'));
      expect(read.corner).toEqual([bytes.readFloatLE(0), bytes.readFloatLE(4)]);
    } finally {
      peer.close();
    }
  },
);
