// A FieldJob in SI units: everything that determines its result, and nothing else.
import { createHash } from 'node:crypto';
import { type FieldJob, type FieldJobSpec, parseLength } from '@quintet/crds';
import type { Constants, StoredQuantity } from '../compute/quantities.ts';
import { FieldError } from '../errors.ts';
import type { Lattice } from '../interpolation/design.ts';
import { wasm } from '../kernel/module.ts';
import { gorkov } from '../physics/particle.ts';
import type { Drive } from '../physics/sources.ts';
import { layOut, type Volume } from '../volume/layout.ts';
import { type Boards, resolveBoards } from './boards.ts';
import { type Motion, resolveMotion, targetsAt } from './motion.ts';
import { normalOf, quantity, resolveScene, type Scene, vector } from './scene.ts';
import type { FileReader } from './tables.ts';
import { recordedQuantities, resolveTimeDomain, type TimeDomain } from './timedomain.ts';

type FieldSlice = NonNullable<FieldJobSpec['output']>['slices'][number];

export interface Slice {
  readonly axis: 0 | 1 | 2;
  /** Metres. */
  readonly at: number;
  readonly quantity: FieldSlice['quantity'];
}

export interface Problem extends Scene {
  readonly volume: Volume;
  readonly quantities: readonly StoredQuantity[];
  readonly slices: readonly Slice[];
  readonly boards?: Boards;
  readonly shardsMax: number;
  readonly method: 'Auto' | 'DirectSum' | 'Interpolated' | 'AngularSpectrum' | 'TimeDomain';
  /** Whether shards look for a GPU; left out, they do not. */
  readonly gpu?: 'Auto' | 'Required';
  /** With that method. */
  readonly timeDomain?: TimeDomain;
  /** The field and its figures are those of the first frame. */
  readonly motion?: Motion;
}

/** @throws FieldError naming the field that cannot be used. */
export function resolve(job: FieldJob, read: FileReader): Problem {
  const { spec } = job;
  const { volume: box, output } = spec;
  if (spec.mode !== 'Batch') {
    const why = `mode ${spec.mode} answers queries as pods of a cluster: kubectl apply it there; mode Batch is computed here`;
    throw new FieldError('InvalidResource', why, 'spec.mode');
  }
  if (!box) throw new FieldError('InvalidResource', 'mode Batch computes a volume: say its box', 'spec.volume');
  // The order of the members is part of the digests of results that lie on volumes.
  const { targets, solver, safety, backend, tolerance, ...scene } = resolveScene(job, read);
  const { count } = scene.emitters.elements;
  const boards = resolveBoards(spec, count, { spec, read });
  const motion = spec.motion && resolveMotion(spec.motion, targets, count);
  const volume = resolveVolume(box);
  const timeDomain = spec.method === 'TimeDomain' ? resolveTimeDomain(volume, { spec, read }) : undefined;
  return {
    ...scene,
    targets: motion ? targetsAt(motion, targets, 0) : targets,
    solver,
    volume,
    // Pressure is always kept: safety is judged by it, and every other quantity follows from it.
    quantities: [...new Set<StoredQuantity>(['Pressure', ...spec.quantities, ...recordedQuantities(spec)])],
    safety,
    slices: (output?.slices ?? [{ plane: 'XZ', quantity: 'Pressure' } satisfies FieldSlice]).map((slice, i) => ({
      axis: normalOf(slice.plane),
      at:
        slice.at === undefined
          ? vector(box.center, 'spec.volume.center')[normalOf(slice.plane)]!
          : quantity(parseLength, slice.at, `spec.output.slices[${i}].at`),
      quantity: slice.quantity,
    })),
    ...(boards && { boards }),
    shardsMax: spec.shards.max,
    backend,
    method: spec.method,
    ...(timeDomain && { timeDomain }),
    ...(spec.backend === 'GPU' && { gpu: 'Required' as const }),
    ...(spec.backend === 'Auto' && spec.gpu.policy !== 'None' && { gpu: 'Auto' as const }),
    tolerance,
    ...(motion && { motion }),
  };
}

export function resolveVolume(box: NonNullable<FieldJobSpec['volume']>): Volume {
  return layOut(
    vector(box.center, 'spec.volume.center'),
    vector(box.size, 'spec.volume.size'),
    quantity(parseLength, box.spacing, 'spec.volume.spacing'),
  );
}

/** What stored quantities follow from beside the pressure. */
export function constantsOf({ particle, medium, frequency }: Problem): Constants {
  return {
    omegaRho: 2 * Math.PI * frequency * medium.density,
    gorkov: gorkov(particle, medium, frequency),
  };
}

/** SHA-256 over everything that determines the bytes of the result: the problem, the drive and the code that sums. */
export function digestOf(problem: Problem, drive: Drive, lattice: Lattice | undefined): string {
  const { targets: _targets, solver: _solver, ...determining } = withoutPresentation(problem);
  return createHash('sha256')
    .update(wasm)
    .update(toPlain({ ...determining, drive, lattice }))
    .digest('hex');
}

/** SHA-256 over the problem as it was asked, before it is solved. */
export function problemDigestOf(problem: Problem): string {
  return createHash('sha256')
    .update(toPlain(withoutPresentation(problem)))
    .digest('hex');
}

function withoutPresentation(problem: Problem): Omit<Problem, 'name' | 'shardsMax' | 'slices' | 'boards' | 'gpu'> {
  const { name: _name, shardsMax: _shards, slices: _slices, boards: _boards, gpu: _gpu, ...rest } = problem;
  return rest;
}

function toPlain(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => {
    if (each instanceof Float32Array) return createHash('sha256').update(each).digest('hex');
    return each instanceof Float64Array ? Array.from(each) : each;
  });
}
