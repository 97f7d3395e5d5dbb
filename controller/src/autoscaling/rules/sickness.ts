// One pod that fails while others do not, or whose GPU is in trouble: one pod more, where there may be one, then that pod
// goes. What fails in all pods alike is no pod's fault, and taking pods away would only add to it.
import { type Look, type Patient, percent, type Remedy, type Seen } from './rule.ts';

export interface Sick {
  /** Looks in a row in which a pod was sick. */
  looks: ReadonlyMap<string, number>;
  /** Memory errors of a pod's GPU when it was first seen. */
  gpuErrors: ReadonlyMap<string, number>;
  /** Looks since the last pod was replaced. */
  sinceReplaced: number;
  /** The pod that came instead fell sick as well. */
  isInVain: boolean;
  /** Looks in a row in which all were well. */
  well: number;
}

/** Share of answers that are errors of the server, from so many answers a second. */
const failsAbove = 0.1;
const leastAnswers = 0.2;
/** Degrees at which drivers of data centre GPUs slow them down. */
const hotAbove = 90;
const growLooks = 2;
const replaceLooks = 4;
/** A pod that falls sick so soon after another was replaced has what the other had. */
const soon = 20;
const wellLooks = 10;

const healthy: Sick = {
  looks: new Map(),
  gpuErrors: new Map(),
  sinceReplaced: Number.POSITIVE_INFINITY,
  isInVain: false,
  well: 0,
};

export function sickness({ pods, mayGrow = false }: Seen, before: Sick = healthy): Look<Sick> {
  const gpuErrors = new Map(pods.flatMap(({ name, signals }) => firstErrors(name, signals, before)));
  const found = pods.flatMap((pod) => {
    const reason = failing(pod) ?? gpuTrouble(pod, gpuErrors);
    return reason === undefined ? [] : [{ pod, reason }];
  });
  const looks = new Map(found.map(({ pod: { name } }) => [name, (before.looks.get(name) ?? 0) + 1]));
  const well = found.length === 0 ? before.well + 1 : 0;
  const sinceReplaced = before.sinceReplaced + 1;
  const isInVain = well < wellLooks && (before.isInVain || (found.length > 0 && sinceReplaced < soon && isNew(looks)));
  const memory: Sick = { looks, gpuErrors, sinceReplaced, isInVain, well };
  const isEverybodys = pods.length > 1 && found.length === pods.length;
  if (isEverybodys || isInVain) return { remedies: [], memory };
  const remedies: Remedy[] = [];
  const due = found.filter(({ pod: { name } }) => (looks.get(name) ?? 0) >= replaceLooks)[0];
  const early = found.find(({ pod: { name } }) => looks.get(name) === growLooks);
  if (early && mayGrow) remedies.push({ action: 'growPool', pods: [early.pod.name], reason: early.reason });
  if (!due) return { remedies, memory };
  remedies.push({ action: 'replacePod', pods: [due.pod.name], reason: due.reason });
  looks.delete(due.pod.name);
  return { remedies, memory: { ...memory, looks, sinceReplaced: 0 } };
}

/** A pod that was sick before the replacement was not put in its place. */
const isNew = (looks: ReadonlyMap<string, number>): boolean => [...looks.values()].includes(1);

function firstErrors(name: string, { gpuErrors }: Patient['signals'], { gpuErrors: known }: Sick): [string, number][] {
  const first = known.get(name) ?? gpuErrors;
  return first === undefined ? [] : [[name, first]];
}

function failing({ name, signals: { requestsPerSecond = 0, errorsPerSecond = 0 } }: Patient): string | undefined {
  const share = errorsPerSecond / requestsPerSecond;
  if (requestsPerSecond < leastAnswers || share <= failsAbove) return undefined;
  return `${percent(Math.min(1, share))} of the answers of pod ${name} are errors`;
}

function gpuTrouble(
  { name, signals: { gpuTemperature = 0, gpuErrors = 0 } }: Patient,
  first: ReadonlyMap<string, number>,
): string | undefined {
  const errors = gpuErrors - (first.get(name) ?? 0);
  if (errors > 0) return `the GPU of pod ${name} had ${errors} memory errors that it could not correct`;
  return gpuTemperature >= hotAbove ? `the GPU of pod ${name} is at ${gpuTemperature} °C` : undefined;
}
