// Queries of the service: solves and slices by threads and kept, points at once where they are few.
import { createHash } from 'node:crypto';
import { bytesCodec, type EngineContext, engineCache, type Pool, QuintetError } from '@quintet/runtime';
import { floatsPerPoint, formats, type StoredQuantity } from '../compute/quantities.ts';
import { codeDigest } from '../job/code.ts';
import { normalOf, type Scene } from '../job/scene.ts';
import type { Drive, Sources } from '../physics/sources.ts';
import type { Target } from '../solver/targets.ts';
import type { Volume } from '../volume/layout.ts';
import { slicesAhead } from './ahead.ts';
import { atPoints, constantsOf, costOf, type PlaneGrid } from './evaluate.ts';
import { gridOf } from './grid.ts';
import { type Probe, probeOf } from './probe.ts';
import { openPropagators } from './propagators.ts';
import type { PointsRequest, SliceRequest, SolveRequest } from './schema.ts';
import type { PointsTask, SliceTask, Solved, SolveResult, SolveTask, Told } from './work.ts';
import { sourcesOf } from './work.ts';

export interface SolveAnswer extends Solved {
  solution: string;
  source: string;
}

export interface SliceAnswer {
  body: Buffer;
  etag: string;
  source: string;
  /** Rows, columns, and components or nothing. */
  shape: number[];
}

/** A solution that is ready to be asked for points. */
interface Ready {
  readonly id: string;
  readonly drive: Drive;
  readonly sources: Sources;
  /** Made at the first query for points. */
  probe?: Probe;
  readonly targets: readonly Pick<Target, 'name' | 'position'>[];
}

/** What slices of one walk have alike. */
interface Same {
  readonly of: Ready;
  readonly quantity: StoredQuantity;
  readonly picture: boolean;
}

/** Sources times points that are summed without a thread: a quarter of a millisecond or so. */
const inline = 12_000;
/** Of one query; about a second of a thread. */
const mostTerms = 3e8;
const mostReady = 256;

export type Queries = Awaited<ReturnType<typeof openQueries>>;

/** Of all that answers follow from: the code, and the tables that the resource names, whose content may change while its text stays. */
export function versionOf(job: string, scene: Scene): string {
  const plain = JSON.stringify(scene, (_key, each: unknown) =>
    each instanceof Float64Array || each instanceof Float32Array ? Array.from(each) : each,
  );
  return createHash('sha256').update(codeDigest()).update(job).update(plain).digest('base64url').slice(0, 22);
}

/** @param job The resource as JSON, as threads read it. */
export async function openQueries(
  context: Pick<EngineContext<object>, 'settings' | 'redis' | 'registry'>,
  pool: Pool,
  job: string,
  { scene, volume }: { scene: Scene; volume: Volume | undefined },
) {
  const version = versionOf(job, scene);
  const solutions = await engineCache<Solved>({ name: 'solutions', kind: 'solve', version, ...context });
  const slices = await engineCache<Buffer>({ name: 'slices', kind: 'slice', version, codec: bytesCodec, ...context });
  const propagators = await openPropagators(context, version, scene.emitters);
  const ready = new Map<string, Ready>();
  const constants = constantsOf(scene);
  let standard: Ready | undefined;

  const solveTargets = async (
    tenant: string,
    targets: readonly Target[],
    solver: Scene['solver'],
    measure: boolean,
    signal?: AbortSignal,
  ): Promise<SolveAnswer> => {
    const solution = createHash('sha256')
      .update(JSON.stringify([version, targets, solver, measure]))
      .digest('base64url')
      .slice(0, 22);
    const make = async (cancelled: AbortSignal): Promise<Solved> => {
      const task: SolveTask = { job, targets, solver, measure, propagators: await propagators.of(tenant, targets) };
      const { solved, made } = await run<SolveResult>(pool, 'solve', task, cancelled);
      void propagators.keep(tenant, targets, made);
      return solved;
    };
    const request = { tenant, input: { solution } };
    const { value, source } = await solutions.getOrMake(request, make, signal ? { signal } : {});
    prepare(tenant, solution, value);
    return { solution, ...value, source };
  };

  const prepare = (tenant: string, id: string, { amplitudes, phases, targets }: Solved): Ready => {
    const key = `${tenant}/${id}`;
    const before = ready.get(key);
    ready.delete(key);
    const drive = before?.drive ?? { amplitudes: Float64Array.from(amplitudes), phases: Float64Array.from(phases) };
    const made = before ?? {
      id,
      drive,
      sources: sourcesOf(scene, drive),
      targets: targets.map(({ name, position }) => ({ name, position: position as [number, number, number] })),
    };
    ready.set(key, made);
    if (ready.size > mostReady) ready.delete(ready.keys().next().value ?? '');
    return made;
  };

  /** A solution of this tenant, or without a name that of the resource. */
  const readyOf = async (tenant: string, id: string | undefined): Promise<Ready> => {
    if (id === undefined || id === standard?.id) {
      if (standard) return standard;
      throw new QuintetError('UNPROCESSABLE', {
        field: 'solution',
        reason: "the resource has no targets of its own: solve some, and name the answer's solution",
      });
    }
    const held = ready.get(`${tenant}/${id}`);
    if (held) return held;
    const found = await solutions.get({ tenant, input: { solution: id } });
    if (!found) throw new QuintetError('NOT_FOUND', { what: `solution ${id}`, field: 'solution' });
    return prepare(tenant, id, found.value);
  };

  const keptSlice = async (tenant: string, grid: PlaneGrid, { of, quantity, picture }: Same, signal?: AbortSignal) => {
    const task: SliceTask = { job, drive: of.drive, targets: of.targets, grid, quantity, picture };
    const make = async (cancelled: AbortSignal): Promise<Buffer> => {
      const made = await run<Uint8Array>(pool, 'slice', task, cancelled);
      return Buffer.from(made.buffer, made.byteOffset, made.byteLength);
    };
    const input = { solution: of.id, grid, quantity, picture };
    return { input, ...(await slices.getOrMake({ tenant, input }, make, signal ? { signal } : {})) };
  };

  const ahead =
    context.settings.cache.prefetch === 'Enabled'
      ? slicesAhead({
          registry: context.registry,
          fetch: async (tenant, grid, same) => {
            const { of: id, ...rest } = same as Omit<Same, 'of'> & { of: string };
            return await keptSlice(tenant, grid, { ...rest, of: await readyOf(tenant, id) });
          },
        })
      : undefined;

  /** Undefined where a thread should do it. */
  const pressuresAtOnce = (of: Ready, points: Float64Array): Float32Array | undefined => {
    if ((points.length / 3) * of.sources.count > inline) return undefined;
    of.probe ??= probeOf(of.sources);
    return of.probe(points);
  };

  const pointsOf = async (
    of: Ready,
    points: Float64Array,
    quantities: readonly StoredQuantity[],
    signal?: AbortSignal,
  ): Promise<Float32Array[]> => {
    const atOnce = quantities.length === 1 && quantities[0] === 'Pressure' && pressuresAtOnce(of, points);
    if (atOnce) return [atOnce];
    const terms = (points.length / 3) * of.sources.count * costOf(quantities);
    if (terms <= inline) return atPoints(of.sources, constants, points, quantities);
    refuseBeyond(terms, 'points');
    const task: PointsTask = { job, drive: of.drive, points, quantities };
    return await run<Float32Array[]>(pool, 'points', task, signal);
  };

  return {
    version,
    scene,
    memory: [solutions.memory, slices.memory, propagators.memory],

    /** Solves the resource's own targets; queries that name no solution mean it. */
    async begin(): Promise<void> {
      if (scene.targets.length === 0) return;
      const { solution, source: _, ...value } = await solveTargets('_resource', scene.targets, scene.solver, true);
      standard = prepare('_resource', solution, value);
    },

    solve: (tenant: string, { targets, solver, measure }: SolveRequest, signal?: AbortSignal): Promise<SolveAnswer> => {
      const given = Object.fromEntries(Object.entries(solver).filter(([, value]) => value !== undefined));
      const resolved = targets.map((target, i) => targetOf(target, i, scene.wavelength));
      return solveTargets(tenant, resolved, { ...scene.solver, ...given }, measure, signal);
    },

    async points(tenant: string, { solution, points, quantities }: PointsRequest, signal?: AbortSignal) {
      const of = await readyOf(tenant, solution);
      return { solution: of.id, floats: await pointsOf(of, Float64Array.from(points.flat()), quantities, signal) };
    },

    /** Within the turn of the event loop: undefined where the solution is not at hand, or the points are too many. */
    pressuresNow(tenant: string, solution: string | undefined, points: Float64Array): Float32Array | undefined {
      const named = solution !== undefined && solution !== standard?.id;
      const of = named ? ready.get(`${tenant}/${solution}`) : standard;
      return of && pressuresAtOnce(of, points);
    },

    /** Pressures at points x, y, z after one another. */
    async pressures(tenant: string, solution: string | undefined, points: Float64Array): Promise<Float32Array> {
      const [floats] = await pointsOf(await readyOf(tenant, solution), points, ['Pressure']);
      return floats!;
    },

    async slice(tenant: string, request: SliceRequest, signal?: AbortSignal): Promise<SliceAnswer> {
      const of = await readyOf(tenant, request.solution);
      const grid = gridOf(request, scene, volume, of.targets);
      const { quantity, format } = request;
      refuseBeyond(grid.columns * grid.rows * of.sources.count * costOf([quantity]), 'spacing');
      const same: Same = { of, quantity, picture: format === 'png' };
      const { value, source, input } = await keptSlice(tenant, grid, same, signal);
      ahead?.observe(tenant, grid, { ...same, of: of.id });
      // By what it is of: the bytes follow from it, and a hit costs no hash of them.
      const etag = createHash('sha256')
        .update(JSON.stringify([version, input]))
        .digest('base64url')
        .slice(0, 22);
      const floats = floatsPerPoint(quantity);
      return {
        body: value,
        etag,
        source,
        shape: [grid.rows, grid.columns, ...(floats > 1 ? [floats] : [])],
      };
    },

    async clear(): Promise<void> {
      ready.clear();
      await Promise.all([solutions.clear(), slices.clear(), propagators.clear()]);
    },

    async close(): Promise<void> {
      await Promise.all([solutions.close(), slices.close(), propagators.close()]);
    },
  };
}

/** Complex numbers per value and components per point, as answers nest them. */
export function shapeOf(quantity: StoredQuantity): { complex: boolean; components: 1 | 3 } {
  const { dataType, components } = formats[quantity];
  return { complex: dataType === 'complex64', components };
}

async function run<T>(pool: Pool, name: string, task: unknown, signal: AbortSignal | undefined): Promise<T> {
  const told = await pool.run<Told<T>>(task, { name, ...(signal && { signal }) });
  if ('ok' in told) return told.ok;
  const { message, field } = told.error;
  throw new QuintetError('UNPROCESSABLE', { reason: message, field: field?.replace(/^spec\./, '') });
}

function refuseBeyond(terms: number, field: string): void {
  if (terms <= mostTerms) return;
  const times = Math.ceil(terms / mostTerms);
  throw new QuintetError('UNPROCESSABLE', {
    field,
    reason: `that is ${times} times what one query may sum; ask for fewer points, or compute the volume in mode Batch`,
  });
}

function targetOf(target: SolveRequest['targets'][number], i: number, wavelength: number): Target {
  const { name = `target-${i}`, position, trap, weight, pressure, plane, charge, radius } = target;
  const only = (member: string, given: unknown, of: string): void => {
    if (given === undefined || trap === of) return;
    throw new QuintetError('UNPROCESSABLE', {
      field: `targets.${i}.${member}`,
      reason: `${member} is only for trap ${of}`,
    });
  };
  only('plane', plane, 'Twin');
  only('charge', charge, 'Vortex');
  only('radius', radius, 'Silence');
  if (radius !== undefined && !(radius > 0))
    throw new QuintetError('UNPROCESSABLE', { field: `targets.${i}.radius`, reason: 'must be a positive length' });
  return {
    name,
    position,
    trap,
    weight,
    ...(pressure !== undefined && { pressure }),
    axis: normalOf(plane ?? 'YZ'),
    charge: charge ?? 1,
    radius: radius ?? wavelength / 2,
  };
}
