// What was done for a service's health, as its engines and its status read it.
import { randomUUID } from 'node:crypto';
import type { Served } from '../kinds/serving/engines.ts';
import type { Command, Healing } from '../kinds/serving/healing.ts';
import type { Action, Remedy } from './rules/rule.ts';
import { quantityOf } from './settings.ts';

export interface Done {
  at: number;
  command: Command;
  reason: string;
}

/** Bounds of a cache in memory, where the spec says none: the engines' own. */
const usualCache = { maxEntries: 10_000, maxSize: 256 * 1024 * 1024 };
/** What the platform does itself is remembered among the commands, and names no pod that would carry it out. */
const ownActions: ReadonlySet<Action> = new Set<Action>(['growPool', 'replacePod']);

export function commandOf(resource: Served, remedy: Remedy, now: number): Command {
  const { action, pods } = remedy;
  const input = inputOf(resource, remedy);
  return {
    id: randomUUID(),
    at: new Date(now).toISOString(),
    action,
    pods: ownActions.has(action) ? [] : pods,
    ...(input && { input }),
  };
}

export function toldOf(done: readonly Done[], isScaled: boolean, isGrown: boolean): Healing {
  const last = done.at(-1);
  return {
    isScaled,
    extra: isGrown ? 1 : 0,
    commands: done.map(({ command }) => command),
    actionsLastHour: done.length,
    ...(last && { last: { at: new Date(last.at), says: `${last.command.action}: ${last.reason}` } }),
  };
}

/** What the caches of pods were made, of the size in the spec, by what was done last. */
export function factorsOf({ spec }: Served, done: readonly Done[]): Map<string, number> {
  const usual = ('cache' in spec ? spec.cache?.memory?.maxEntries : undefined) ?? usualCache.maxEntries;
  const factors = new Map<string, number>();
  for (const { command } of done) {
    const maxEntries = command.input?.['maxEntries'];
    if (maxEntries !== undefined) for (const name of command.pods) factors.set(name, maxEntries / usual);
  }
  return factors;
}

function inputOf({ spec }: Served, { action, factor }: Remedy): Command['input'] {
  if (factor === undefined) return undefined;
  if (action === 'resizeBatch') return { share: factor };
  const { maxEntries = usualCache.maxEntries, maxSize } = ('cache' in spec ? spec.cache?.memory : undefined) ?? {};
  return {
    maxEntries: Math.ceil(maxEntries * factor),
    maxSize: Math.ceil((quantityOf(maxSize) ?? usualCache.maxSize) * factor),
  };
}
