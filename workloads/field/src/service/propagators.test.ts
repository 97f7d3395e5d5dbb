import { Registry, settingsSchema } from '@quintet/runtime';
import { expect, test } from 'vitest';
import { grid } from '../physics/elements.ts';
import { goalsOf, type Propagator, type Target } from '../solver/targets.ts';
import { openPropagators } from './propagators.ts';

const emitters = {
  elements: grid({ rows: 20, columns: 20, pitch: 10e-3 }),
  pressureAt1m: 8,
  radius: 4.5e-3,
  pattern: { type: 'Piston', ka: 3.3 },
  wavenumber: 730,
  attenuation: 0,
  reflectors: [],
} as const;
const place = { name: 'hush', position: [0, 0, 0.05], weight: 1, axis: 0, charge: 1, radius: 4e-3 } as const;
const quiet: Target = { ...place, trap: 'Silence' };

test('a kept propagator of another length is none', async () => {
  const made: Propagator[] = [];
  const tip: Target = { ...place, position: [0, 0, 0.08], trap: 'Focus' };
  goalsOf(emitters, [quiet, tip], [], (_, propagator) => made.push(propagator));
  const context = { settings: settingsSchema.parse({}), registry: new Registry() };
  const propagators = await openPropagators(context, 'one', emitters);
  const keep = (bytes: Uint8Array) =>
    propagators.keep('lab', [quiet], [{ target: 0, propagator: bytes as unknown as Propagator, milliseconds: 1 }]);
  const whole = new Uint8Array(made[0]!.buffer, made[0]!.byteOffset, made[0]!.byteLength);
  await keep(whole);
  expect(await propagators.of('lab', [quiet])).toEqual([made[0]]);
  for (const length of [whole.length - 3, whole.length - 8]) {
    await keep(whole.subarray(0, length));
    expect(await propagators.of('lab', [quiet])).toEqual([undefined]);
  }
  await propagators.close();
});
