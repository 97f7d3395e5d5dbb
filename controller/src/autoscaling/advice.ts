// What a resource had better ask for, from what its pods used and what held its count: requests, minReplicas, maxReplicas.
import type { Served } from '../kinds/serving/engines.ts';
import type { Scaling } from '../kinds/serving/scaling.ts';
import { quantityOf } from './settings.ts';
import type { PodSignals } from './signals.ts';

/** An hour of cycles that were measured: less says little of a day, and nothing of a week. */
const leastMs = 3_600_000;
/** Above what was used. */
const reserve = 1.15;
/** A request that is off by less is no reason to restart pods. */
const offBy = 1.3;
/** Shares of the time in which a bound held the count. */
const oftenHeld = 0.1;
/** Bins of CPUs in use, each 15 % wider than the one before, from a hundredth of one. */
const base = 1.15;
const smallest = 0.01;
const mebibyte = 2 ** 20;

export class Advice {
  readonly #cpu = new Map<number, number>();
  #samples = 0;
  #memory = 0;
  #seconds = 0;
  #heldByMax = 0;
  #heldByMin = 0;

  add(said: readonly PodSignals[], scaling: Scaling | undefined, seconds: number): void {
    for (const { cpu, memory } of said) {
      if (memory !== undefined) this.#memory = Math.max(this.#memory, memory);
      if (cpu === undefined) continue;
      const bin = Math.max(0, Math.ceil(Math.log(Math.max(cpu, smallest) / smallest) / Math.log(base)));
      this.#cpu.set(bin, (this.#cpu.get(bin) ?? 0) + 1);
      this.#samples += 1;
    }
    if (said.length === 0 || !scaling) return;
    this.#seconds += seconds;
    if (scaling.limited.reason === 'TooManyReplicas') this.#heldByMax += seconds;
    if (scaling.limited.reason === 'TooFewReplicas') this.#heldByMin += seconds;
  }

  /** Empty: all is well. Undefined: too little was seen. */
  of({ spec }: Served): string | undefined {
    if (this.#seconds * 1000 < leastMs) return undefined;
    const { requests = {} } = spec.resources ?? {};
    const { minReplicas = 1, maxReplicas = 1 } = spec.autoscaling ?? {};
    const said = [
      request('cpu', this.#cpuShare(0.95), quantityOf(requests.cpu), cores),
      request(
        'memory',
        this.#samples > 0 || this.#memory > 0 ? this.#memory : undefined,
        quantityOf(requests.memory),
        mebibytes,
      ),
      this.#often(this.#heldByMax) &&
        `maxReplicas above ${maxReplicas}, which held the count ${this.#share(this.#heldByMax)} of the time`,
      minReplicas > 1 &&
        this.#heldByMin > this.#seconds * 0.9 &&
        `minReplicas below ${minReplicas}, which held the count ${this.#share(this.#heldByMin)} of the time`,
    ].filter((each) => typeof each === 'string');
    return said.join('; ');
  }

  readonly #often = (seconds: number): boolean => seconds > this.#seconds * oftenHeld;
  readonly #share = (seconds: number): string => `${Math.round((100 * seconds) / this.#seconds)} %`;

  #cpuShare(share: number): number | undefined {
    let left = this.#samples * share;
    for (const [bin, count] of [...this.#cpu].sort(([a], [b]) => a - b)) {
      left -= count;
      if (left <= 0) return smallest * base ** bin;
    }
    return undefined;
  }
}

function request(
  name: string,
  used: number | undefined,
  asked: number | undefined,
  written: (value: number) => string,
): string | undefined {
  if (used === undefined || used <= 0) return undefined;
  const better = used * reserve;
  if (asked !== undefined && better < asked * offBy && better * offBy > asked) return undefined;
  return `resources.requests.${name} ${written(better)}${asked === undefined ? '' : ` instead of ${written(asked)}`}`;
}

const cores = (value: number): string => `${Math.ceil(value * 100) * 10}m`;
const mebibytes = (value: number): string => `${Math.ceil(value / mebibyte)}Mi`;
