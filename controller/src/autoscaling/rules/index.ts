// What is done about a service that is unwell: every rule with hysteresis of its own. What was asked for and not carried
// out is no deed: the rule forgets it, and asks again a little later.
import { type Cold, coldness } from './coldness.ts';
import { type Pressed, pressure } from './pressure.ts';
import type { Action, Remedy, Seen } from './rule.ts';
import { type Sick, sickness, withoutReplacement } from './sickness.ts';
import { type Slow, slowness } from './slowness.ts';

export interface HealingMemory {
  pressed?: Pressed;
  cold?: Cold;
  slow?: Slow;
  sick?: Sick;
  /** Looks until what was not carried out is asked for again. */
  putOff?: ReadonlyMap<string, number>;
}

/** A remedy, and the rule whose memory has it as done. */
interface Asked extends Remedy {
  rule: 'pressed' | 'cold' | 'slow' | 'sick';
}

export interface Diagnosis {
  remedies: Asked[];
  memory: HealingMemory;
}

/** Two minutes, so that what is refused is not told at each look. */
const putOffLooks = 4;
/** What is meant for single pods is put off for these alone. */
const ofOnePod: ReadonlySet<Action> = new Set<Action>(['clearCache', 'replacePod']);

/** One look at the pods that were heard. */
export function diagnose(seen: Seen, before: HealingMemory = {}): Diagnosis {
  const pressed = pressure(seen, before.pressed);
  const cold = coldness(seen, before.cold, pressed);
  const slow = slowness(seen, before.slow);
  const sick = sickness(seen, before.sick);
  const asked: Asked[] = [
    ...pressed.remedies.map((remedy) => ({ ...remedy, rule: 'pressed' as const })),
    ...cold.remedies.map((remedy) => ({ ...remedy, rule: 'cold' as const })),
    ...slow.remedies.map((remedy) => ({ ...remedy, rule: 'slow' as const })),
    ...sick.remedies.map((remedy) => ({ ...remedy, rule: 'sick' as const })),
  ];
  const putOff = new Map<string, number>();
  for (const [key, left] of before.putOff ?? []) if (left > 1) putOff.set(key, left - 1);
  const isDue = (remedy: Remedy) => !before.putOff?.has(keyOf(remedy));
  const memory: HealingMemory = {
    pressed: pressed.memory,
    cold: cold.memory,
    slow: slow.memory,
    sick: sick.memory,
    putOff,
  };
  const waiting = asked.filter((remedy) => !isDue(remedy));
  return {
    remedies: asked.filter(isDue),
    memory: waiting.reduce((kept, remedy) => undone(kept, before, remedy), memory),
  };
}

/** The memory where this remedy was refused, over the budget or only observed. One pod more is asked for just once. */
export function notDone(memory: HealingMemory, before: HealingMemory = {}, remedy: Asked): HealingMemory {
  if (remedy.action === 'growPool') return memory;
  const putOff = new Map([...(memory.putOff ?? []), [keyOf(remedy), putOffLooks] as const]);
  return { ...undone(memory, before, remedy), putOff };
}

function undone(memory: HealingMemory, before: HealingMemory, { rule, action, pods }: Asked): HealingMemory {
  if (action === 'growPool') return memory;
  if (rule === 'sick') return { ...memory, sick: withoutReplacement(memory.sick, before.sick, pods) };
  if (rule !== 'pressed') {
    const { [rule]: _done, ...rest } = memory;
    return before[rule] === undefined ? rest : { ...rest, [rule]: before[rule] };
  }
  const pressed = new Map(memory.pressed);
  for (const name of pods) pressed.set(name, before.pressed?.get(name) ?? 0);
  return { ...memory, pressed };
}

const keyOf = ({ action, pods }: Remedy): string => (ofOnePod.has(action) ? `${action} ${pods.join(' ')}` : action);
