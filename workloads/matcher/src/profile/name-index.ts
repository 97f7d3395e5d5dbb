// Items by name and attribute: keys of letters and sounds lead to few candidates, and the full comparison ranks them.
// Each bank has keys of its own, so that what others register neither hides an item nor costs its queries anything.
import {
  type Budget,
  compareProfiles,
  namesOf,
  normalize,
  type Profile,
  type ProfileMatch,
  sound,
  trigrams,
} from './similarity.ts';

export interface NameMatch extends ProfileMatch {
  readonly number: number;
}

export interface NameSearch {
  readonly minSimilarity: number;
  /** Compares by sound too. Default true. */
  readonly phonetic?: boolean;
  /** Left out, all. */
  readonly banks?: ReadonlySet<number>;
  /** Items that are asked for within these banks. */
  readonly admits?: (number: number) => boolean;
}

/** Items of a query's keys that are compared in full, those with most keys in common. */
const mostCandidates = 400;
/** Items of the same names, for which the attributes decide. */
const mostNamesakes = 500;
/** Entries of keys that are looked at for a query, the rarest keys first. */
const mostEntries = 20_000;
/** Letters that a query's comparisons may cost, see `Budget`; one candidate at most a tenth. */
const mostWork = 2_000_000;
/** Names of a profile that lead to it. */
const mostNames = 65;

/** Key → items. */
type Keys = Map<string, Set<number>>;

export class NameIndex {
  readonly #profiles = new Map<number, { profile: Profile; bank: number }>();
  readonly #banks = new Map<number, Keys>();
  readonly #hidden = new Set<number>();

  get size(): number {
    return this.#profiles.size;
  }

  set(number: number, profile: Profile, bank = 0): void {
    this.delete(number);
    const keys = keysOf(profile);
    if (keys.size === 0) return;
    this.#profiles.set(number, { profile, bank });
    let items = this.#banks.get(bank);
    if (!items) this.#banks.set(bank, (items = new Map()));
    for (const key of keys) {
      const known = items.get(key);
      if (known) known.add(number);
      else items.set(key, new Set([number]));
    }
  }

  hide(number: number, hidden: boolean): void {
    if (hidden) this.#hidden.add(number);
    else this.#hidden.delete(number);
  }

  delete(number: number): void {
    this.#hidden.delete(number);
    const known = this.#profiles.get(number);
    if (!known) return;
    this.#profiles.delete(number);
    const keys = this.#banks.get(known.bank) as Keys;
    for (const key of keysOf(known.profile)) {
      const items = keys.get(key);
      items?.delete(number);
      if (items?.size === 0) keys.delete(key);
    }
  }

  keys(): Iterable<number> {
    return this.#profiles.keys();
  }

  get(number: number): Profile | undefined {
    return this.#profiles.get(number)?.profile;
  }

  /** Items at least so similar, most similar first. */
  search(query: Profile, { minSimilarity, phonetic = true, banks, admits = () => true }: NameSearch): NameMatch[] {
    const asked = [...this.#banks].flatMap(([bank, keys]) => (!banks || banks.has(bank) ? [keys] : []));
    const shown = (number: number) => !this.#hidden.has(number) && admits(number);
    const wanted = keysOf(query);
    return asked
      .flatMap((keys) => {
        const budget = { left: mostWork / asked.length };
        return candidates(keys, wanted, mostEntries / asked.length, shown).flatMap((number) => {
          if (budget.left <= 0) return [];
          const own: Budget = { left: Math.min(budget.left, mostWork / asked.length / 10) };
          const before = own.left;
          const match = compareProfiles(query, this.get(number) as Profile, phonetic, own);
          budget.left -= before - own.left;
          return match && match.similarity >= minSimilarity ? [{ number, ...match }] : [];
        });
      })
      .sort((a, b) => b.similarity - a.similarity || a.number - b.number);
  }
}

/** Namesakes first, then those with most keys in common, rare ones weighing more. */
function candidates(
  keys: Keys,
  wanted: ReadonlySet<string>,
  entries: number,
  shown: (number: number) => boolean,
): number[] {
  const found = [...wanted].flatMap((key) => {
    const items = keys.get(key);
    return items ? [{ key, items }] : [];
  });
  const first = new Set<number>();
  for (const { key, items } of found) {
    if (!key.startsWith(exact)) continue;
    for (const number of items) if (first.size < mostNamesakes && shown(number)) first.add(number);
  }
  const votes = new Map<number, number>();
  let left = entries;
  for (const { items } of found.sort((a, b) => a.items.size - b.items.size)) {
    const weight = 1 / Math.log2(2 + items.size);
    for (const number of items) {
      if (--left < 0) break;
      votes.set(number, (votes.get(number) ?? 0) + weight);
    }
    if (left < 0) break;
  }
  const voted: number[] = [];
  for (const [number] of [...votes].sort((a, b) => b[1] - a[1] || a[0] - b[0])) {
    if (voted.length === mostCandidates) break;
    if (!first.has(number) && shown(number)) voted.push(number);
  }
  return [...first, ...voted];
}

/** Begins the key of a whole name. */
const exact = '=';

/** Whole names and attributes, the sounds of words alone and in pairs, and sets of three letters. */
function keysOf(profile: Profile): Set<string> {
  const keys = new Set<string>();
  for (const name of namesOf(profile).slice(0, mostNames)) {
    const words = normalize(name).split(' ').slice(0, 16);
    keys.add(exact + [...words].sort().join(' '));
    for (const each of trigrams(name)) keys.add(each);
    const heard = words
      .map(sound)
      .filter((each) => each.length > 1)
      .sort();
    for (const [i, each] of heard.entries()) {
      keys.add(`~${each}`);
      for (const other of heard.slice(i + 1, 6)) keys.add(`~${each}~${other}`);
    }
  }
  for (const [key, value] of Object.entries(profile.attributes ?? {})) {
    const plain = normalize(value);
    if (plain !== '') keys.add(`@${key}=${plain}`);
  }
  return keys;
}
