// How large a model may become, known when its members are chosen rather than when they are written.
import { constants } from 'node:buffer';
import { type EvolutionRunSpec, parseKubernetesQuantity } from '@quintet/crds';
import type { FeatureSpec } from '../data/features.ts';
import { mebibytes } from '../data/size.ts';
import type { Ensemble } from '../search/ensemble.ts';
import { modelBytesOf } from '../search/kept.ts';

/** Bytes of a pod that serves, before and for each of a model's: its file, its text, and what the text is read into. Measured with Node 24. */
const servingBase = 96 * 2 ** 20;
const servingFactor = 8;

/** Bytes of packed pipelines: the stored model is one text, which has them in base64 beside the levels of its columns, and a text has an end. */
export function roomForPipelines(features: readonly FeatureSpec[], longest = constants.MAX_STRING_LENGTH): number {
  let schema = 2 ** 20;
  // Each character may need a backslash.
  for (const { levels = [] } of features) for (const level of levels) schema += 2 * level.length + 3;
  return Math.max(0, Math.floor(0.75 * (longest - schema)));
}

/** What the size of the model costs. */
export function sizeWarnings(ensemble: Ensemble | undefined, room: number, { promotion }: EvolutionRunSpec): string[] {
  if (!ensemble) return [];
  const warnings: string[] = [];
  if (ensemble.roomless > 0)
    warnings.push(
      `${ensemble.roomless} pipelines could not join the ensemble: with their fitted models it would take more than ${mebibytes(room)}`,
    );
  const bytes = ensemble.members.reduce((sum, { individual }) => sum + modelBytesOf(individual), 0);
  const needed = servingBase + servingFactor * bytes;
  const memory = promotion.serving ? promotion.serving.resources.limits?.memory : '512Mi';
  if (promotion.mode !== 'None' && memory !== undefined && needed > parseKubernetesQuantity(memory))
    warnings.push(
      `the model's pipelines take ${mebibytes(bytes)}: pods of predictions need about ${mebibytes(needed)} for it, and as much again for a challenger, and have ${memory}; raise spec.promotion.serving.resources`,
    );
  return warnings;
}
