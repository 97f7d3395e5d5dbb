// The champion and the challenger of one name as the registry has them now, opened and ready to predict.
import { randomOf } from '../random.ts';
import type { Registry } from '../registry/registry.ts';
import { type Model, openModel } from '../run/model.ts';

export type Role = 'Champion' | 'Challenger';

export interface ServedModel {
  readonly modelId: string;
  readonly role: Role;
  readonly model: Model;
}

export interface ServedModels {
  readonly champion: ServedModel | undefined;
  readonly challenger: ServedModel | undefined;
  /** The challenger's share of requests, 0..1. */
  readonly weight: number;
  /** Looks at the registry; what is served stays as it is when the registry is away. */
  refresh: () => Promise<void>;
  /** The model of a request: requests of one key always meet the same one, those without are dealt by chance. */
  pick: (key?: string) => ServedModel | undefined;
  close: () => void;
}

/** Milliseconds that a model which was replaced still answers requests under way. */
const lastAnswers = 60_000;

export function servedModels(registry: Registry, name: string): ServedModels {
  let champion: ServedModel | undefined;
  let challenger: ServedModel | undefined;
  let weight = 0;

  const opened = async (modelId: string | null, role: Role): Promise<ServedModel | undefined> => {
    if (modelId === null) return undefined;
    const known = [champion, challenger].find((each) => each?.modelId === modelId);
    if (known) return { ...known, role };
    const row = await registry.model(modelId);
    const bytes = row && (await registry.content(modelId));
    return bytes && { modelId, role, model: openModel(bytes, row.sha256) };
  };

  return {
    get champion() {
      return champion;
    },
    get challenger() {
      return challenger;
    },
    get weight() {
      return weight;
    },
    refresh: async () => {
      const found = await registry.deployment(name);
      const next = [
        await opened(found?.champion ?? null, 'Champion'),
        await opened(found?.challenger ?? null, 'Challenger'),
      ] as const;
      const gone = [champion, challenger].filter(
        (old) => old && !next.some((each) => each?.modelId === old.modelId),
      ) as ServedModel[];
      [champion, challenger] = next;
      weight = found?.weight ?? 0;
      for (const { model } of gone) setTimeout(() => model.close(), lastAnswers).unref();
    },
    pick: (key) => {
      if (!challenger) return champion;
      const place = key === undefined ? Math.random() : randomOf('traffic', name, key).next();
      return place < weight ? challenger : (champion ?? challenger);
    },
    close: () => {
      champion?.model.close();
      challenger?.model.close();
      champion = challenger = undefined;
    },
  };
}
