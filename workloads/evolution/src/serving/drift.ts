// How far the latest rows that were predicted lie from those of training, feature by feature.
import type { Feature } from '../data/features.ts';
import { type Drift, fewestRows } from '../run/drift.ts';
import type { ServedModel } from './models.ts';

/** Rows that are looked at together: enough for tenths, few enough to show a change soon. */
const window = 1000;

export interface DriftMeter {
  /** Keeps a number or a code of each feature, and nothing of the cells that were sent. */
  see: (served: ServedModel, features: readonly Feature[]) => void;
  /** Of the champion's features, worst first; empty until there are rows enough. */
  read: () => readonly Drift[];
}

export function driftMeter(): DriftMeter {
  let of: ServedModel | undefined;
  let latest: readonly Feature[] = [];
  let seen = 0;
  return {
    see: (served, features) => {
      if (served.role !== 'Champion') return;
      if (of?.modelId !== served.modelId) {
        latest = features.map(emptyRing);
        seen = 0;
      }
      of = served;
      for (const [i, feature] of features.entries()) put(latest[i]!, feature, seen);
      seen += rowsOf(features[0]);
    },
    read: () => (of && seen >= fewestRows ? of.model.drift(latest.map((ring) => filled(ring, seen))) : []),
  };
}

function emptyRing({ codes, values, ...spec }: Feature): Feature {
  if (codes) return { ...spec, codes: new Int32Array(window) };
  return values ? { ...spec, values: new Float32Array(window) } : spec;
}

function rowsOf(feature: Feature | undefined): number {
  return (feature?.codes ?? feature?.values)?.length ?? 0;
}

function put(ring: Feature, { codes, values }: Feature, start: number): void {
  for (let i = 0; i < (codes ?? values!).length; i++) {
    if (codes) ring.codes![(start + i) % window] = codes[i]!;
    else ring.values![(start + i) % window] = values![i]!;
  }
}

function filled({ codes, values, ...spec }: Feature, seen: number): Feature {
  return codes ? { ...spec, codes: codes.subarray(0, seen) } : { ...spec, values: values!.subarray(0, seen) };
}
