import type { Bank } from '../record/record.ts';

/** A bank as it is made where nothing is asked of it. */
export const plainBank: Bank = {
  number: 0,
  tenant: 'default',
  name: 'default',
  kind: 'Positive',
  maxDistance: null,
  enabledRatio: 1,
  suppresses: null,
  spec: null,
};
