// What FieldJobs have cost, and what one will cost by that: seconds of a pod for each point, learned from runs of the same kind of work.
import { type FieldJob, parseDuration } from '@quintet/crds';

export interface Costs {
  /** Takes in a run that ended well; each revision counts once. */
  learn: (resource: FieldJob, revision: string, ended: Cost) => void;
  /** Seconds of one pod for all shards; nothing where no like work has been seen. */
  predict: (resource: FieldJob, work: Work) => number | undefined;
}

interface Work {
  readonly points: number;
  /** That the plan chose; left out, that of the spec. */
  readonly method?: string | undefined;
}

export interface Cost extends Work {
  readonly podSeconds: number;
}

interface Sample {
  readonly elements: number;
  readonly secondsPerPoint: number;
}

/** The latest of each kind of work. */
const mostSamples = 32;
/** Those with the most similar arrays decide, by their median. */
const asked = 5;
const mostRemembered = 10_000;

/** Of one controller: it learns anew from the FieldJobs that it finds when it starts. */
export function costs(): Costs {
  const samples = new Map<string, Sample[]>();
  const learned = new Map<string, true>();

  const predict: Costs['predict'] = ({ spec }, { points, method = spec.method }) => {
    const elements = elementsOf(spec);
    if (elements === undefined) return undefined;
    const away = (sample: Sample): number => Math.abs(Math.log(sample.elements / elements));
    const known = samples.get(kindOfWork(spec, method)) ?? [];
    const alike = known.toSorted((a, b) => away(a) - away(b)).slice(0, asked);
    const rates = alike.map((sample) => sample.secondsPerPoint * growth(method, elements / sample.elements));
    const middle = rates.toSorted((a, b) => a - b)[Math.floor(rates.length / 2)];
    return middle === undefined ? undefined : middle * points;
  };

  return {
    learn: (resource, revision, { points, podSeconds, method = resource.spec.method }) => {
      const elements = elementsOf(resource.spec);
      const run = `${resource.metadata.uid}/${revision}`;
      if (learned.has(run) || elements === undefined || !(points > 0) || !(podSeconds > 0)) return;
      remember(learned, run, true);
      const kind = kindOfWork(resource.spec, method);
      const known = samples.get(kind) ?? [];
      remember(samples, kind, [{ elements, secondsPerPoint: podSeconds / points }, ...known].slice(0, mostSamples));
    },
    predict,
  };
}

/** A pod is worth its start for so much work. */
const secondsWorthAPod = 30;

/** As few pods as make it quick and leave half of a deadline unused, within what the spec allows; as many as that where nothing is known. */
export function podsFor({ shards, activeDeadline }: FieldJob['spec'], pieces: number, podSeconds?: number): number {
  const most = Math.min(shards.parallelism.max, pieces);
  if (podSeconds === undefined) return most;
  const quick = podSeconds / secondsWorthAPod;
  const inTime = activeDeadline === undefined ? 0 : (2 * podSeconds) / parseDuration(activeDeadline);
  return Math.min(most, Math.max(shards.parallelism.min, Math.ceil(quick), Math.ceil(inTime)));
}

function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.set(key, value);
  if (map.size > mostRemembered) map.delete(map.keys().next().value ?? '');
}

/** What is alike but for the number of points and elements. */
function kindOfWork(spec: FieldJob['spec'], method: string): string {
  const { backend, gpu, quantities, tolerance, array, volume, timeDomain, resources } = spec;
  return JSON.stringify([
    method,
    backend,
    gpu.policy,
    [...quantities].sort(),
    tolerance,
    array.transducer?.directivity,
    volume?.spacing,
    resources.limits?.cpu,
    method === 'TimeDomain' && [timeDomain?.cycles, timeDomain?.cfl, timeDomain?.pointsPerWavelength],
  ]);
}

/** Each element is summed at each point; the other methods hardly depend on how many there are. */
const growth = (method: string, ratio: number): number => (method === 'DirectSum' ? ratio : 1);

/** Undefined where a table tells. */
function elementsOf({ array }: FieldJob['spec']): number | undefined {
  const { type, grid, twoSided, hemisphere } = array;
  if (type === 'Grid' && grid) return grid.rows * grid.columns;
  if (type === 'TwoSided' && twoSided) return 2 * twoSided.rows * twoSided.columns;
  return type === 'Hemisphere' ? hemisphere?.elements : undefined;
}
