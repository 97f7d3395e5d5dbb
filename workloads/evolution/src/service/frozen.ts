// Frozen models of a spec, read from where it says they are.
import { readFile, stat } from 'node:fs/promises';
import type { EvolutionRunSpec } from '@quintet/crds';
import { EvolutionError, messageOf } from '../errors.ts';
import { type FrozenModel, frozenModel, largestFrozen } from '../frozen/model.ts';
import { fileAt } from './data.ts';

type Frozen = NonNullable<EvolutionRunSpec['search']['frozen']>[number];

/** @throws EvolutionError DataUnreadable, DataTooLarge or DataDamaged, naming the model */
export function frozenModelsOf(spec: EvolutionRunSpec, signal?: AbortSignal): Promise<FrozenModel[]> {
  return Promise.all((spec.search.frozen ?? []).map((each) => frozenModelAt(spec, each, signal)));
}

async function frozenModelAt(
  spec: EvolutionRunSpec,
  { name, source, sha256 }: Frozen,
  signal: AbortSignal | undefined,
): Promise<FrozenModel> {
  const field = `spec.search.frozen.${name}.source`;
  const maxSize = { bytes: largestFrozen, field };
  const file = await fileAt(spec, { path: `search.frozen.${name}.source`, source, sha256, maxSize }, signal);
  try {
    const { size } = await stat(file.path);
    if (size > largestFrozen)
      throw new EvolutionError(
        'DataTooLarge',
        `the frozen model ${name} has ${size} bytes, more than ${largestFrozen}`,
        {
          field,
        },
      );
    return frozenModel(name, await readFile(file.path));
  } catch (cause) {
    if (cause instanceof EvolutionError) throw cause;
    throw new EvolutionError('DataUnreadable', `the frozen model ${name}: ${messageOf(cause)}`, { field }, cause);
  } finally {
    await file.release();
  }
}
