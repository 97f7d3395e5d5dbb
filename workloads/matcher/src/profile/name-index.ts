// Items by name: sets of three letters and sounds lead to few candidates, and the full comparison ranks them.
import { compareProfiles, namesOf, normalize, type Profile, type ProfileMatch, sound, trigrams } from './similarity.ts';

export interface NameMatch extends ProfileMatch {
  readonly number: number;
}

/** Items of a query's keys that are compared in full, those with most keys in common. */
const mostCandidates = 400;
/** A key that more items have than this leads nowhere; rarer ones of the same name do. */
const mostOfKey = 20_000;

export class NameIndex {
  readonly #profiles = new Map<number, Profile>();
  readonly #items = new Map<string, Set<number>>();
  readonly #hidden = new Set<number>();

  get size(): number {
    return this.#profiles.size;
  }

  set(number: number, profile: Profile): void {
    this.delete(number);
    const keys = keysOf(profile);
    if (keys.size === 0) return;
    this.#profiles.set(number, profile);
    for (const key of keys) {
      const items = this.#items.get(key);
      if (items) items.add(number);
      else this.#items.set(key, new Set([number]));
    }
  }

  hide(number: number, hidden: boolean): void {
    if (hidden) this.#hidden.add(number);
    else this.#hidden.delete(number);
  }

  delete(number: number): void {
    this.#hidden.delete(number);
    const profile = this.#profiles.get(number);
    if (!profile) return;
    this.#profiles.delete(number);
    for (const key of keysOf(profile)) {
      const items = this.#items.get(key);
      items?.delete(number);
      if (items?.size === 0) this.#items.delete(key);
    }
  }

  numbers(): Iterable<number> {
    return this.#profiles.keys();
  }

  get(number: number): Profile | undefined {
    return this.#profiles.get(number);
  }

  /** Items at least so similar, most similar first. */
  search(query: Profile, minSimilarity: number, phonetic = true): NameMatch[] {
    const votes = new Map<number, number>();
    for (const key of keysOf(query)) {
      const items = this.#items.get(key);
      if (!items || items.size > mostOfKey) continue;
      const weight = 1 / Math.log2(2 + items.size);
      for (const number of items) if (!this.#hidden.has(number)) votes.set(number, (votes.get(number) ?? 0) + weight);
    }
    return [...votes]
      .sort((a, b) => b[1] - a[1] || a[0] - b[0])
      .slice(0, mostCandidates)
      .flatMap(([number]) => {
        const match = compareProfiles(query, this.#profiles.get(number) as Profile, phonetic);
        return match && match.similarity >= minSimilarity ? [{ number, ...match }] : [];
      })
      .sort((a, b) => b.similarity - a.similarity || a.number - b.number);
  }
}

function keysOf(profile: Profile): Set<string> {
  const keys = new Set<string>();
  for (const name of namesOf(profile).slice(0, 64)) {
    for (const each of trigrams(name)) keys.add(each);
    for (const word of normalize(name).split(' ')) {
      const heard = sound(word);
      if (heard.length > 1) keys.add(`~${heard}`);
    }
  }
  return keys;
}
