// What is done about a service that is unwell: every rule with hysteresis of its own.
import { type Cold, coldness } from './coldness.ts';
import { type Pressed, pressure } from './pressure.ts';
import type { Remedy, Seen } from './rule.ts';
import { type Sick, sickness } from './sickness.ts';
import { type Slow, slowness } from './slowness.ts';

export interface HealingMemory {
  pressed?: Pressed;
  cold?: Cold;
  slow?: Slow;
  sick?: Sick;
}

export interface Diagnosis {
  remedies: Remedy[];
  memory: HealingMemory;
}

/** One look at the pods that were heard. */
export function diagnose(seen: Seen, before: HealingMemory = {}): Diagnosis {
  const pressed = pressure(seen, before.pressed);
  const cold = coldness(seen, before.cold);
  const slow = slowness(seen, before.slow);
  const sick = sickness(seen, before.sick);
  return {
    remedies: [pressed, cold, slow, sick].flatMap(({ remedies }) => remedies),
    memory: { pressed: pressed.memory, cold: cold.memory, slow: slow.memory, sick: sick.memory },
  };
}
