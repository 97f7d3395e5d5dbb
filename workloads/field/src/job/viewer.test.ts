import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { expect, it } from 'vitest';
import { pressureAt } from '../physics/reference.ts';
import { drivenSources } from '../physics/sources.ts';
import { finish } from './finish.ts';
import { readPlan } from './output.ts';
import { plan } from './plan.ts';
import { readDrive, shard } from './shard.ts';
import { smallProblem, temporaryFolder } from './testing.ts';
import { type ViewerData, viewerPath } from './viewer.ts';
import { viewerPage } from './viewerpage.ts';

const dataOf = (page: string): ViewerData => JSON.parse(/const data = (.*);\n/.exec(page)![1]!) as ViewerData;

it('shows the stored pressure, every nth point of a long axis', { timeout: 60_000 }, async () => {
  const folder = temporaryFolder();
  const problem = smallProblem({
    volume: { center: ['0mm', '0mm', '40mm'], size: ['110mm', '4mm', '6mm'], spacing: '1mm' },
    shards: { max: 2 },
  });
  const { shards } = plan(problem, folder);
  for (let index = 0; index < shards; index++) await shard(problem, folder, index, { threads: 1 });
  await finish(problem, folder, { threads: 1 });
  const data = dataOf(readFileSync(join(folder, viewerPath), 'utf8'));
  expect(data.shape).toEqual([4, 3, 56]);
  expect(data.step).toBeCloseTo(2e-3, 12);
  const sources = drivenSources(problem.emitters, readDrive(problem, folder, readPlan(folder)));
  const amplitude = Buffer.from(data.amplitude, 'base64');
  const phase = Buffer.from(data.phase, 'base64');
  const value = new Float64Array(2);
  for (const [z, y, x] of [
    [0, 0, 0],
    [2, 1, 27],
    [3, 2, 55],
  ] as const) {
    const at = (axis: number, i: number): number => data.first[axis]! + i * data.step;
    pressureAt(sources, at(2, x), at(1, y), at(0, z), value);
    const i = (z * 3 + y) * 56 + x;
    expect(Math.abs((amplitude[i]! / 255) * data.largest - Math.hypot(value[0]!, value[1]!))).toBeLessThan(
      data.largest / 250,
    );
    const turned = (phase[i]! / 255 - 0.5) * 2 * Math.PI - Math.atan2(value[1]!, value[0]!);
    expect(Math.cos(turned)).toBeGreaterThan(0.999);
  }
});

it('is a page whose script is one, whatever the names in it', () => {
  const page = viewerPage({
    name: '</script><script>alert(1)</script>',
    shape: [1, 1, 1],
    first: [0, 0, 0],
    step: 1e-3,
    largest: 1,
    largestText: '1Pa',
    amplitude: 'AA==',
    phase: 'AA==',
    targets: [],
    elements: [],
    colors: '',
  });
  const scripts = page.split('<script>').slice(1);
  expect(scripts).toHaveLength(1);
  expect(() => new Script(scripts[0]!.split('</script>')[0]!)).not.toThrow();
  expect(dataOf(page).name).toBe('</script><script>alert(1)</script>');
});
