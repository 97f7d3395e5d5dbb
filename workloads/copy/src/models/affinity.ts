// Which of several servers a prompt is sent to: one that was sent most of its beginning before, and so may have read it already, unless that one has more
// to do than its share.

export interface Target {
  readonly name: string;
  /** Share of requests. */
  readonly weight: number;
  /** Requests in work. */
  readonly running: number;
}

export interface Affinity {
  /** The targets, best first. */
  order: <T extends Target>(targets: readonly T[], beginning: string) => T[];
  /** Tells that a prompt was sent there. */
  sent: (target: Target, beginning: string) => void;
}

/** Characters: servers keep states by blocks of tokens, too. */
const block = 128;
/** Beginnings beyond it are alike in what matters. */
const mostBlocks = 32;
/** Requests of one target over its share of all: the hottest beginning cannot take more. */
const slack = 1.25;

/** @param most Blocks remembered. */
export function affinity(most = 50_000): Affinity {
  /** Names of the targets that have a beginning, by its hash; those unused for longest first. */
  const known = new Map<number, Set<string>>();
  const matched = (chain: readonly number[], name: string): number => {
    const end = chain.findIndex((hash) => !known.get(hash)?.has(name));
    return end === -1 ? chain.length : end;
  };
  return {
    order: (targets, beginning) => {
      const chain = chainOf(beginning);
      const weights = targets.reduce((sum, { weight }) => sum + weight, 0);
      const requests = targets.reduce((sum, { running }) => sum + running, 1);
      return targets
        .map((target) => ({
          target,
          over: target.running + 1 > Math.ceil((slack * requests * target.weight) / weights),
          held: matched(chain, target.name),
          load: (target.running + 1) / target.weight,
          // Where nobody has it, all gateways choose the same.
          draw: drawOf(target, chain[0] ?? 0),
        }))
        .toSorted((a, b) => {
          if (a.over !== b.over) return a.over ? 1 : -1;
          if (a.over) return a.load - b.load;
          return b.held - a.held || (a.held > 0 ? a.load - b.load : b.draw - a.draw);
        })
        .map(({ target }) => target);
    },
    sent: ({ name }, beginning) => {
      for (const hash of chainOf(beginning)) {
        const names = known.get(hash) ?? new Set();
        names.add(name);
        known.delete(hash);
        known.set(hash, names);
      }
      for (const hash of known.keys()) {
        if (known.size <= most) break;
        known.delete(hash);
      }
    },
  };
}

/** A hash for each block, of everything up to its end; the rest of a text that fills no block counts where there is no other. */
function chainOf(text: string): number[] {
  const chain: number[] = [];
  let hash = 0x811c9dc5;
  const end = Math.min(text.length, block * mostBlocks);
  for (let at = 0; at < end; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
    if ((at + 1) % block === 0) chain.push(hash);
  }
  return chain.length > 0 ? chain : [hash];
}

/** Weighted rendezvous hashing: of each beginning one target draws highest, by its weight, and others' draws do not change when one leaves. */
function drawOf({ name, weight }: Target, hash: number): number {
  let mixed = hash;
  for (let at = 0; at < name.length; at++) mixed = Math.imul(mixed ^ name.charCodeAt(at), 0x01000193) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35) >>> 0;
  mixed = (mixed ^ (mixed >>> 16)) >>> 0;
  return -weight / Math.log((mixed + 1) / (2 ** 32 + 1));
}
