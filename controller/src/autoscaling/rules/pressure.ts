// Memory that runs out: first what the pod can do without, then the pod itself, for a leak is no cache.
import { kept, type Look, memoryShare, percent, type Remedy, type Seen } from './rule.ts';

/** Looks in a row in which a pod had too little memory; below zero: treated, and not well yet, for so many looks. */
export type Pressed = ReadonlyMap<string, number>;

/** Shares of the memory limit: treated above, and well again below. */
const pressedAbove = 0.9;
const wellBelow = 0.8;
const pressedLooks = 2;
/** Looks after which clearing has reached the pod and did not help: kubelets bring it within two minutes. */
const patience = 8;
/** A cache that filled the memory once would do so again. */
const shrunk = 0.5;

export function pressure({ pods, unheard = [], hasCaches = true }: Seen, before: Pressed = new Map()): Look<Pressed> {
  const memory = kept(before, unheard);
  const remedies: Remedy[] = [];
  for (const { name, signals } of pods) {
    const share = memoryShare(signals);
    const looks = before.get(name) ?? 0;
    if (share === undefined) {
      if (looks !== 0) memory.set(name, looks);
    } else if (looks < 0) {
      if (share < wellBelow) continue;
      memory.set(name, share > pressedAbove ? looks - 1 : looks);
      if (share > pressedAbove && looks - 1 === -patience) {
        const reason = `pod ${name} uses ${percent(share)} of its memory${hasCaches ? ', though its caches were to be cleared' : ''}`;
        remedies.push({ action: 'replacePod', pods: [name], reason });
      }
    } else if (share > pressedAbove) {
      const isDue = looks + 1 >= pressedLooks;
      memory.set(name, isDue ? -1 : looks + 1);
      const reason = `pod ${name} uses ${percent(share)} of its memory`;
      if (isDue && hasCaches) remedies.push({ action: 'clearCache', pods: [name], factor: shrunk, reason });
    }
  }
  return { remedies, memory };
}
