// What the record says of items that were found. All of it but the state is for good, and the index hides what is not in
// force, so items once read are known, also while PostgreSQL is away.
import type { Recorded, ShownItem } from '../record/record.ts';
import type { Replica } from '../replica/replica.ts';
import type { Finding } from './verdict.ts';

/** Items that were read and are kept, the oldest go first. */
const mostKnown = 20_000;
/** Bytes of their metadata. */
const mostKnownBytes = 64 << 20;

export class KnownItems {
  readonly #sources: { readonly replica: Pick<Replica, 'generation'>; readonly record: Pick<Recorded, 'byNumbers'> };
  readonly #known = new Map<number, ShownItem>();
  #knownBytes = 0;
  #generation = 0;

  constructor(sources: {
    readonly replica: Pick<Replica, 'generation'>;
    readonly record: Pick<Recorded, 'byNumbers'>;
  }) {
    this.#sources = sources;
  }

  /** Those of the items found that are in force. */
  async of(findings: readonly Finding[]): Promise<Map<number, ShownItem>> {
    const { replica, record } = this.#sources;
    if (replica.generation !== this.#generation) {
      this.#generation = replica.generation;
      this.#known.clear();
      this.#knownBytes = 0;
    }
    const numbers = [...new Set(findings.map(({ number }) => number))];
    const items = new Map<number, ShownItem>();
    const missing = numbers.filter((number) => {
      const known = this.#known.get(number);
      if (known) items.set(number, known);
      return known === undefined;
    });
    for (const item of await record.byNumbers(missing)) {
      // The record is newer than the index may be.
      if (!inForce(item)) continue;
      items.set(item.number, item);
      this.#keep(item);
    }
    return items;
  }

  #keep(item: ShownItem): void {
    if (this.#known.has(item.number)) return;
    this.#known.set(item.number, item);
    this.#knownBytes += item.metadataLength;
    while (this.#known.size > mostKnown || this.#knownBytes > mostKnownBytes) {
      const [oldest] = this.#known.values();
      if (!oldest) return;
      this.#known.delete(oldest.number);
      this.#knownBytes -= oldest.metadataLength;
    }
  }
}

function inForce({ state, disabledUntil }: ShownItem): boolean {
  return (
    state === 'Enabled' || (state === 'Disabled' && disabledUntil !== null && disabledUntil.getTime() <= Date.now())
  );
}
