// The next likely slice: who steps through a volume plane by plane gets the next one from the cache. How often that was right is
// measured, and while it is seldom, nothing is computed ahead.
import { counter, type Registry } from '@quintet/runtime';
import type { PlaneGrid } from './evaluate.ts';

export interface AheadOptions {
  /** Computes and keeps a slice; `same` is whatever was observed with it. */
  readonly fetch: (tenant: string, grid: PlaneGrid, same: unknown) => Promise<unknown>;
  readonly registry?: Registry;
}

/** Verdicts that precision is judged by, and how many of them are needed before it is. */
const window = 20;
const enough = 4;
const mostTenants = 1000;

interface Walk {
  key: string;
  at: number;
  step: number;
  /** Where the next slice was expected. */
  expected: number | undefined;
}

export function slicesAhead({ fetch, registry }: AheadOptions) {
  const walks = new Map<string, Walk>();
  const verdicts: boolean[] = [];
  const outcomes =
    registry &&
    counter(registry, 'quintet_prefetch_predictions_total', 'Judged predictions.', ['prefetch', 'came_true']);
  let busy: Promise<unknown> | undefined;

  const judge = (cameTrue: boolean): void => {
    verdicts.push(cameTrue);
    if (verdicts.length > window) verdicts.shift();
    outcomes?.inc({ prefetch: 'slices', came_true: String(cameTrue) });
  };
  const isWorthIt = (): boolean => verdicts.length < enough || verdicts.filter(Boolean).length >= verdicts.length / 2;

  return {
    /** Tells of a slice that was asked for; may begin the next one, and never throws or waits for it. */
    observe(tenant: string, grid: PlaneGrid, same: unknown): void {
      const at = grid.center[grid.axis];
      const across = grid.center.map((value, axis) => (axis === grid.axis ? 0 : value));
      const key = JSON.stringify([same, grid.axis, across, grid.columns, grid.rows, grid.spacing]);
      const before = walks.get(tenant);
      walks.delete(tenant);
      const follows = before?.key === key && before.at !== at;
      const step = follows ? at - before.at : 0;
      if (before?.expected !== undefined && follows) judge(near(before.expected, at, grid.spacing));
      // Two equal steps are a walk; one is a jump.
      const walking = follows && step !== 0 && near(step, before.step, grid.spacing);
      const expected = walking ? at + step : undefined;
      walks.set(tenant, { key, at, step, expected });
      if (walks.size > mostTenants) walks.delete(walks.keys().next().value ?? '');
      if (expected === undefined || busy || !isWorthIt()) return;
      // As a client would write it, so that its question finds this answer.
      const place = Number(expected.toPrecision(12));
      const center = grid.center.map((value, axis) => (axis === grid.axis ? place : value)) as unknown as [
        number,
        number,
        number,
      ];
      busy = fetch(tenant, { ...grid, center }, same)
        .catch(() => undefined)
        .finally(() => {
          busy = undefined;
        });
    },
    /** Resolves when nothing is under way. */
    settled: async (): Promise<void> => {
      await busy;
    },
  };
}

const near = (a: number, b: number, spacing: number): boolean => Math.abs(a - b) < 1e-6 * spacing;
