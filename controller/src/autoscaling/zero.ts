// Down to no pods and back, as a pure decision: when nothing was asked for long enough the activators are put in the
// way first, and only once requests surely reach them does the last pod go.

/** What one pod or activator says of its traffic. */
export interface Voice {
  /** Uid of the pod, or instance of the activator. */
  id: string;
  /** Undefined: it was not heard. */
  said: { busy: boolean; total: number } | undefined;
}

export interface ZeroInput {
  /** Milliseconds of a clock that does not go back. */
  now: number;
  /** Idle time before the last pod goes. */
  afterMs: number;
  /** Pods asked for at present. */
  current: number;
  /** Pods that the Service sends requests to. */
  readyEndpoints: number;
  /** Ready pods, and activators. */
  voices: readonly Voice[];
  /** Whether there is an activator that could take the traffic. */
  hasActivator: boolean;
  /** Whether the Service's endpoints name activators. */
  isFronted: boolean;
  /** Requests that wait in activators. */
  waiting: number;
  /** Requests that one pod is meant to work on at once. */
  perPod: number;
  most: number;
  memory: ZeroMemory | undefined;
}

export interface ZeroMemory {
  /** Nothing was asked since. */
  idleSince: number;
  totals: ReadonlyMap<string, number>;
  /** The activators are among the endpoints since. */
  frontedSince: number | undefined;
}

export interface ZeroDecision {
  /** Whether activators are to be among the Service's endpoints. */
  front: boolean;
  /** Fewest pods: what the other decision may not go below. 0: none at all are to run. */
  least: number;
  reason?: string;
  memory: ZeroMemory;
}

/** Until every node knows endpoints that the API server knows; what an ending pod waits, too. */
const spreadMs = 5_000;
/** As the HPA's rate for what is small: so many pods at once, more by what they then say. */
const mostAtOnce = 4;

export function decideZero(input: ZeroInput): ZeroDecision {
  const { now, current, waiting, readyEndpoints } = input;
  const memory = remember(input);
  const least = wakes(input);
  if (waiting > 0)
    return {
      front: true,
      least,
      memory,
      ...(current === 0 && { reason: `${waiting} requests wait for the first pod` }),
    };
  if (current === 0) return { front: true, least: 0, memory };
  const idleMs = now - memory.idleSince;
  const isIdle = idleMs >= input.afterMs && input.hasActivator && input.voices.every(({ said }) => said !== undefined);
  if (!isIdle) return { front: readyEndpoints === 0, least: 1, memory };
  const isFronted = memory.frontedSince !== undefined && now - memory.frontedSince >= spreadMs;
  if (!isFronted) return { front: true, least: 1, memory };
  return { front: true, least: 0, reason: `nothing was asked for ${Math.round(idleMs / 1000)} s`, memory };
}

/** Pods for what waits. */
function wakes({ waiting, perPod, most }: ZeroInput): number {
  return Math.max(1, Math.min(most, mostAtOnce, Math.ceil(waiting / Math.max(1, perPod))));
}

/** Totals of requests tell of what came between two looks, too; who was not heard keeps what it said last. */
function remember({ now, voices, waiting, isFronted, memory }: ZeroInput): ZeroMemory {
  const totals = new Map<string, number>();
  let isBusy = waiting > 0;
  for (const { id, said } of voices) {
    const before = memory?.totals.get(id);
    if (said) totals.set(id, said.total);
    else if (before !== undefined) totals.set(id, before);
    // Who is new may have been asked already; nothing counts of a total of zero.
    if (said && (said.busy || said.total !== (before ?? 0))) isBusy = true;
  }
  return {
    idleSince: isBusy || !memory ? now : memory.idleSince,
    totals,
    frontedSince: isFronted ? (memory?.frontedSince ?? now) : undefined,
  };
}
