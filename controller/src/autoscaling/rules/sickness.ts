// One pod that fails while others do not, or whose GPU is in trouble: one pod more, where there may be one, then that pod
// goes. What fails in most pods alike is no pod's fault, and taking pods away would only add to it; nor is what they refuse
// for want of room.
import { kept, type Look, type Patient, percent, type Remedy, type Seen } from './rule.ts';

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

export function sickness({ pods, unheard = [], mayGrow = false }: Seen, before: Sick = healthy): Look<Sick> {
  const ready = pods.length + unheard.length;
  const gpuErrors = new Map([
    ...kept(before.gpuErrors, unheard),
    ...pods.flatMap(({ name, signals }) => firstErrors(name, signals, before)),
  ]);
  const fails = new Map(pods.flatMap((pod) => pairOf(pod, failing(pod))));
  const rated = pods.filter(({ signals }) => (signals.requestsPerSecond ?? 0) >= leastAnswers).length;
  const isEverybodys = rated > 1 && fails.size > rated / 2;
  const onGpu = new Map(pods.flatMap((pod) => pairOf(pod, gpuTrouble(pod, gpuErrors))));
  const found = new Map([...(isEverybodys ? [] : fails), ...onGpu]);
  const looks = new Map([
    ...kept(before.looks, unheard),
    ...[...found.keys()].map((name) => [name, (before.looks.get(name) ?? 0) + 1] as const),
  ]);
  const isWell = fails.size + onGpu.size === 0;
  const well = isWell ? before.well + 1 : 0;
  const sinceReplaced = before.sinceReplaced + 1;
  const isInVain = well < wellLooks && (before.isInVain || (!isWell && sinceReplaced < soon && isNew(looks)));
  const memory: Sick = { looks, gpuErrors, sinceReplaced, isInVain, well };
  const isHot = pods.length > 1 && onGpu.size === pods.length;
  if (isHot || isInVain) return { remedies: [], memory };
  const remedies: Remedy[] = [];
  const early = [...found].find(([name]) => looks.get(name) === growLooks);
  if (early && mayGrow) remedies.push({ action: 'growPool', pods: [early[0]], reason: early[1] });
  // The only pod that serves is better than none, and what came for the last one has yet to show itself.
  const mayGo = (name: string) => onGpu.has(name) || ready > 1;
  const due = [...found].find(([name]) => (looks.get(name) ?? 0) >= replaceLooks && mayGo(name));
  if (!due || sinceReplaced <= replaceLooks) return { remedies, memory };
  const [name, reason] = due;
  remedies.push({ action: 'replacePod', pods: [name], reason });
  looks.delete(name);
  return { remedies, memory: { ...memory, looks, sinceReplaced: 0 } };
}

const pairOf = ({ name }: Patient, reason: string | undefined): [string, string][] =>
  reason === undefined ? [] : [[name, reason]];

/** As if these had not been due: they are the next time. */
export function withoutReplacement(memory: Sick | undefined, before: Sick = healthy, pods: readonly string[]): Sick {
  const looks = new Map(memory?.looks);
  for (const name of pods) looks.set(name, before.looks.get(name) ?? 0);
  return { ...healthy, ...memory, looks, sinceReplaced: before.sinceReplaced + 1 };
}

/** A pod that was sick before the replacement was not put in its place. */
const isNew = (looks: ReadonlyMap<string, number>): boolean => [...looks.values()].includes(1);

function firstErrors(name: string, { gpuErrors }: Patient['signals'], { gpuErrors: known }: Sick): [string, number][] {
  const first = known.get(name) ?? gpuErrors;
  return first === undefined ? [] : [[name, first]];
}

function failing({ name, signals }: Patient): string | undefined {
  const { requestsPerSecond = 0, errorsPerSecond = 0, overloadsPerSecond = 0 } = signals;
  const share = (errorsPerSecond - overloadsPerSecond) / requestsPerSecond;
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
