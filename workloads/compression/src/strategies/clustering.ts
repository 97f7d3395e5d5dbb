// Clustering: units that say nearly the same are found by MinHash, and one of each cluster speaks for it.
import type { Document } from '../document.ts';
import { choose } from '../selection.ts';
import type { Strategy } from '../strategy.ts';
import { coverage } from './extractive.ts';

export const clustering: Strategy = {
  name: 'clustering',
  compress({ document, budget, query, forced }) {
    const cluster = clusters(document);
    const size = new Uint32Array(document.units.length);
    for (const each of cluster) size[each] = (size[each] as number) + 1;
    const spoken = new Int32Array(document.units.length);
    const base = coverage(document, query);
    return choose(
      document,
      budget,
      {
        thrift: base.thrift,
        gain(unit) {
          const own = cluster[unit] as number;
          return base.gain(unit) * (spoken[own] ? 0.1 : 1 + 0.2 * Math.log(size[own] as number));
        },
        kept(unit) {
          base.kept?.(unit);
          const own = cluster[unit] as number;
          spoken[own] = (spoken[own] as number) + 1;
        },
        dropped(unit) {
          base.dropped?.(unit);
          const own = cluster[unit] as number;
          spoken[own] = (spoken[own] as number) - 1;
        },
      },
      forced,
    );
  },
};

const bands = 6;
const rows = 3;

/**
 * For each unit the first unit of its cluster. Signatures are minima of hashed word pairs (Broder 1997); units that share
 * all rows of a band are joined, which finds similarities above about (1/6)^(1/3) = 0.55.
 */
export function clusters({ units, words, firstWord }: Document): Uint32Array {
  const parent = Uint32Array.from(units.keys());
  const find = (unit: number): number => {
    let root = unit;
    while (parent[root] !== root) root = parent[root] as number;
    for (let at = unit; parent[at] !== root; ) {
      const next = parent[at] as number;
      parent[at] = root;
      at = next;
    }
    return root;
  };
  const buckets = new Map<string, number>();
  const signature = new Uint32Array(bands * rows);
  for (let unit = 0; unit < units.length; unit++) {
    const from = firstWord[unit] as number;
    const to = firstWord[unit + 1] as number;
    if (to - from < 3) continue;
    signature.fill(0xffffffff);
    for (let i = from; i < to - 1; i++) {
      const pair = Math.imul(words.id[i] as number, 0x9e3779b1) ^ (words.id[i + 1] as number);
      for (let k = 0; k < signature.length; k++) {
        const hash = mix(pair + Math.imul(k + 1, 0x85ebca6b));
        if (hash < (signature[k] as number)) signature[k] = hash;
      }
    }
    for (let band = 0; band < bands; band++) {
      const key = `${band}:${signature.subarray(band * rows, (band + 1) * rows).join()}`;
      const other = buckets.get(key);
      if (other === undefined) buckets.set(key, unit);
      else {
        const a = find(other);
        const b = find(unit);
        if (a !== b) parent[Math.max(a, b)] = Math.min(a, b);
      }
    }
  }
  return parent.map((_, unit) => find(unit));
}

/** murmur3's finaliser. */
function mix(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
