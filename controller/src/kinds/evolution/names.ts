// What an EvolutionRun's objects are called.
import type { EvolutionRun } from '@quintet/crds';
import { childName, selectorLabels } from '../../objects/meta.ts';

export const mainName = ({ metadata }: EvolutionRun): string => childName(metadata.name, 'evolution');
export const workersName = ({ metadata }: EvolutionRun): string => childName(metadata.name, 'evolution-workers');
export const predictionsName = ({ metadata }: EvolutionRun): string =>
  childName(metadata.name, 'evolution-predictions');

export function componentSelector(resource: EvolutionRun, component: string): Record<string, string> {
  return { ...selectorLabels(resource), 'app.kubernetes.io/component': component };
}
