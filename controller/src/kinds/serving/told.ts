// What pods of a service say of themselves, as its status tells it.
import type { MatcherPoolStatus } from '@quintet/crds';

export interface Told {
  traffic?: NonNullable<MatcherPoolStatus['traffic']>;
  /** Of a MatcherPool. */
  index?: NonNullable<MatcherPoolStatus['index']>;
}

/** By kind, key (namespace/name) and uid. Undefined: no pod was heard since this leader leads. */
export type TellingSource = (kind: string, key: string, uid: string | undefined) => Told | undefined;

/** What is not heard stays as it was told; without a pod that serves, of a pool its items. */
export function toldFields({ status }: { status?: Told | undefined }, told: Told | undefined, ready: number): Told {
  const { traffic, index } = { ...status, ...told };
  return { ...(traffic && ready > 0 && { traffic }), ...(index && { index }) };
}
