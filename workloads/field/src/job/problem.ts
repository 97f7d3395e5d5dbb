// A FieldJob in SI units: everything that determines its result, and nothing else.
import { createHash } from 'node:crypto';
import { type FieldJob, type FieldJobSpec, parseLength } from '@quintet/crds';
import { FieldError } from '../errors.ts';
import type { Lattice } from '../interpolation/design.ts';
import { wasm } from '../kernel/module.ts';
import type { Drive } from '../physics/sources.ts';
import { layOut, type Volume } from '../volume/layout.ts';
import { type Boards, resolveBoards } from './boards.ts';
import { type Motion, resolveMotion, targetsAt } from './motion.ts';
import { normalOf, quantity, resolveScene, type Scene, vector } from './scene.ts';
import type { FileReader } from './tables.ts';

type FieldSlice = NonNullable<FieldJobSpec['output']>['slices'][number];
export type Quantity = FieldJobSpec['quantities'][number];

export interface Slice {
  readonly axis: 0 | 1 | 2;
  /** Metres. */
  readonly at: number;
  readonly quantity: Quantity;
}

export interface Problem extends Scene {
  readonly volume: Volume;
  readonly quantities: readonly Quantity[];
  readonly slices: readonly Slice[];
  readonly boards?: Boards;
  readonly shardsMax: number;
  readonly method: 'Auto' | 'DirectSum' | 'Interpolated' | 'AngularSpectrum';
  /** The field and its figures are those of the first frame. */
  readonly motion?: Motion;
}

/** @throws FieldError naming the field that cannot be used. */
export function resolve(job: FieldJob, read: FileReader): Problem {
  const { spec } = job;
  const { volume: box, output } = spec;
  if (spec.mode !== 'Batch' || !box) {
    throw new FieldError('InvalidResource', 'only mode Batch with a volume is computed by these steps', 'spec.mode');
  }
  // The order of the members is part of the digests of results that lie on volumes.
  const { targets, solver, safety, backend, tolerance, ...scene } = resolveScene(job, read);
  const { count } = scene.emitters.elements;
  const boards = resolveBoards(spec, count, { spec, read });
  const motion = spec.motion && resolveMotion(spec.motion, targets, count);
  return {
    ...scene,
    targets: motion ? targetsAt(motion, targets, 0) : targets,
    solver,
    volume: resolveVolume(box),
    // Pressure is always kept: safety is judged by it, and every other quantity follows from it.
    quantities: [...new Set<Quantity>(['Pressure', ...spec.quantities])],
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
    method: spec.method as Problem['method'],
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

function withoutPresentation(problem: Problem): Omit<Problem, 'name' | 'shardsMax' | 'slices' | 'boards'> {
  const { name: _name, shardsMax: _shards, slices: _slices, boards: _boards, ...rest } = problem;
  return rest;
}

function toPlain(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => (each instanceof Float64Array ? Array.from(each) : each));
}
