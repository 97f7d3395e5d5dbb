// Why an engine is not ready, or not alive, in words that a probe's reader can act on.
import { gauge, type Registry } from '../metrics.ts';

export interface Readiness {
  readonly ready: boolean;
  /** What stands in the way: name → reason. */
  readonly reasons: Readonly<Record<string, string>>;
  /** What is away without making the engine unready: slower or poorer answers. */
  readonly degraded: Readonly<Record<string, string>>;
  /** Set when only a restart helps; the liveness probe then fails. */
  readonly fatal: string | undefined;
  /** Not ready for this reason until `clear` of the same name. */
  block: (name: string, reason: string) => void;
  degrade: (name: string, reason: string) => void;
  clear: (name: string) => void;
  fail: (reason: string) => void;
}

export function readiness(registry?: Registry): Readiness {
  const reasons = new Map<string, string>();
  const degraded = new Map<string, string>();
  let fatal: string | undefined;
  if (registry) {
    gauge(registry, 'quintet_ready', '1 when the engine takes requests.', [], function () {
      this.set(reasons.size === 0 && fatal === undefined ? 1 : 0);
    });
    gauge(registry, 'quintet_degraded', '1 for each dependency that is away.', ['dependency'], function () {
      this.reset();
      for (const name of degraded.keys()) this.set({ dependency: name }, 1);
    });
  }
  return {
    get ready() {
      return reasons.size === 0 && fatal === undefined;
    },
    get reasons() {
      return Object.fromEntries(reasons);
    },
    get degraded() {
      return Object.fromEntries(degraded);
    },
    get fatal() {
      return fatal;
    },
    block: (name, reason) => void reasons.set(name, reason),
    degrade: (name, reason) => void degraded.set(name, reason),
    clear: (name) => {
      reasons.delete(name);
      degraded.delete(name);
    },
    fail: (reason) => {
      fatal = reason;
    },
  };
}
