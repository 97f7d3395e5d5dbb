// Every kind the controller reconciles.
import { compressionService, copyEngine, matcherPool } from '@quintet/crds';
import type { KubeObject } from '../kube/types.ts';
import type { Kind } from '../reconcile/kind.ts';
import { evolutionRun } from './evolution/index.ts';
import { costs } from './fieldjob/costs.ts';
import { fieldJob } from './fieldjob/index.ts';
import type { EngineSettings } from './image.ts';
import { refuseInvalid } from './refusals.ts';
import { servingKind } from './serving/index.ts';
import type { ScalingSource } from './serving/scaling.ts';
import type { TellingSource } from './serving/told.ts';

/** What the installation decides for each engine. */
export type EngineName = 'field' | 'evolution' | 'compression' | 'matcher' | 'copy';
export type KindSettings = Record<EngineName, EngineSettings>;

export function kinds(
  { field, evolution, compression, matcher, copy }: KindSettings,
  scaling?: ScalingSource,
  telling?: TellingSource,
): Kind<KubeObject>[] {
  const all = [
    fieldJob(field, scaling, costs()),
    evolutionRun(evolution),
    servingKind(compressionService, compression, scaling, telling),
    servingKind(matcherPool, matcher, scaling, telling),
    servingKind(copyEngine, copy, scaling, telling),
  ] as Kind<KubeObject>[];
  return all.map(checked);
}

/** The kind, with its specs held against what Kubernetes takes before anything is built of them. */
function checked(kind: Kind<KubeObject>): Kind<KubeObject> {
  return {
    ...kind,
    desired(resource, observed) {
      refuseInvalid(resource);
      return kind.desired(resource, observed);
    },
  };
}
