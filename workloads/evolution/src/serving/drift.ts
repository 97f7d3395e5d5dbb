// How far the latest rows that were predicted lie from those of training, feature by feature.
import type { Cell } from '../data/features.ts';
import type { Drift } from '../run/drift.ts';
import type { ServedModel } from './models.ts';

type Row = Readonly<Record<string, Cell>>;

/** Rows that are looked at together: enough for tenths, few enough to show a change soon. */
const window = 1000;
const fewest = 200;

export interface DriftMeter {
  see: (served: ServedModel, rows: readonly Row[]) => void;
  /** Of the champion's features, worst first; empty until there are rows enough. */
  read: () => readonly Drift[];
}

export function driftMeter(): DriftMeter {
  let of: ServedModel | undefined;
  let recent: Row[] = [];
  return {
    see: (served, rows) => {
      if (served.role !== 'Champion') return;
      if (of?.modelId !== served.modelId) recent = [];
      of = served;
      recent.push(...rows);
      if (recent.length > 2 * window) recent = recent.slice(-window);
    },
    read: () => (of && recent.length >= fewest ? of.model.drift(recent.slice(-window)) : []),
  };
}
