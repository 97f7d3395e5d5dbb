// What the healer has done for a resource, as its desired state and its status read it.
import type { ConfigMap } from '../../objects/configmap.ts';

/** For the engines of some pods; they carry out what is younger than they are, once. */
export interface Command {
  id: string;
  /** When it was given. */
  at: string;
  action: string;
  pods: string[];
  input?: Record<string, number>;
}

export interface Healing {
  /** Whether an autoscaler decides for it, too. */
  isScaled: boolean;
  /** Pods to run beyond what the load asks for, while one of them is sick. */
  extra: number;
  /** Of the last hour. */
  commands: readonly Command[];
  actionsLastHour: number;
  last?: { at: Date; says: string };
}

export const commandsFile = 'healing.json';

/** What stands in a ConfigMap already: of this leader's predecessor. */
export function commandsOf(live: ConfigMap | undefined): Command[] {
  try {
    const said = JSON.parse(live?.data?.[commandsFile] ?? '{}') as { commands?: Command[] };
    return Array.isArray(said.commands) ? said.commands.filter(({ at }) => Number.isFinite(Date.parse(at))) : [];
  } catch {
    return [];
  }
}

/** For the ConfigMap that the pods mount; a new leader leaves there what its predecessor put. */
export function commandsData(healing: Healing | undefined, live: ConfigMap | undefined): Record<string, string> {
  if (!healing) {
    const kept = live?.data?.[commandsFile];
    return kept === undefined ? {} : { [commandsFile]: kept };
  }
  return healing.commands.length > 0 ? { [commandsFile]: JSON.stringify({ commands: healing.commands }) } : {};
}
