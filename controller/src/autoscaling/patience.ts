// Conditions that turn with every breath of the load would be written to the API server each time: what lasts is told.
import { isReady } from '../kinds/gpu.ts';
import type { Scaling } from '../kinds/serving/scaling.ts';
import type { Pod } from '../objects/types.ts';

/** Pages of pods may be lost for so long before it is told. */
const silenceMs = 15_000;
/** A load about a bound is held back at one look and not at the next. */
const limitMs = 20_000;

export class Patience {
  #silentSince: number | undefined;
  #otherLimit: { reason: string; since: number } | undefined;

  /** A page that is lost now and then is nothing to tell; and pods that only start have nothing to say. */
  active(
    active: Scaling['active'],
    told: Scaling | undefined,
    { now, pods }: { now: number; pods: readonly Pod[] },
  ): Scaling['active'] {
    if (active.status === 'True') {
      this.#silentSince = undefined;
      return active;
    }
    this.#silentSince ??= now;
    const before = told?.active;
    if (before?.status !== 'True') return active;
    const starts = before.reason === 'Waking' && !pods.some(isReady);
    return starts || now - this.#silentSince < silenceMs ? before : active;
  }

  /** While the count stays as it is; a new one is told with what holds it. */
  limited(limited: Scaling['limited'], told: Scaling | undefined, now: number): Scaling['limited'] {
    const before = told?.limited;
    if (!before || told.yieldsTo || before.reason === limited.reason) {
      this.#otherLimit = undefined;
      return limited;
    }
    if (this.#otherLimit?.reason !== limited.reason) this.#otherLimit = { reason: limited.reason, since: now };
    return now - this.#otherLimit.since < limitMs ? before : limited;
  }
}
