// Individuals that were evaluated on every fold, the islands they live on, and who may breed.
import type { Random } from '../random.ts';
import { defaultGenomes } from './defaults.ts';
import { type Genome, keyOf, type Space } from './genome.ts';
import { crowding, frontsOf, type Objectives, survivors } from './nsga2.ts';
import { crossed, mutated, type Rates } from './vary.ts';

export interface Individual extends Objectives {
  readonly index: number;
  readonly island: number;
  readonly generation: number;
  readonly key: string;
  readonly genome: Genome;
  readonly parents: readonly number[];
  /** Score of the teaching sample; undefined where data is small. */
  readonly low: number | undefined;
  /** Score of each fold. */
  readonly scores: readonly number[];
  /** Predictions of each fold's judged rows; empty once better pipelines have taken their room. */
  predictions: readonly Float32Array[];
  models: readonly (Uint8Array | undefined)[];
  readonly seconds: number;
}

export interface Candidate {
  readonly index: number;
  readonly island: number;
  readonly generation: number;
  readonly key: string;
  readonly genome: Genome;
  readonly parents: readonly number[];
}

export interface Bred {
  readonly genome: Genome;
  readonly parents: readonly number[];
}

/** Share of children that come from a default far away rather than from parents. */
const immigrants = 0.08;

export class Island {
  members: Individual[] = [];
  readonly size: number;

  constructor(size: number) {
    this.size = size;
  }

  add(individual: Individual): void {
    if (this.members.some((member) => member.key === individual.key)) return;
    const all = [...this.members, individual].sort((a, b) => a.index - b.index);
    // The best score stays whatever room it has.
    this.members = survivors(all, this.size).map((i) => all[i]!);
  }

  byScore(): Individual[] {
    return this.members.toSorted((a, b) => b.score - a.score || a.index - b.index);
  }

  /** Mostly the better score, at times the better place in NSGA-II's order: score is what is sought, cost keeps variety. */
  parent(random: Random): Individual {
    if (random.next() < 0.7) {
      const ranked = this.byScore();
      return ranked[Math.min(random.int(ranked.length), random.int(ranked.length), random.int(ranked.length))]!;
    }
    const order = survivorsOrder(this.members);
    return this.members[order[Math.min(random.int(order.length), random.int(order.length))]!]!;
  }
}

/** The genome of a new individual; it differs from all whose keys are known, unless chance fails ten times. */
export function bred(island: Island, space: Space, rates: Rates, random: Random, known: ReadonlySet<string>): Bred {
  let result: Bred | undefined;
  for (let attempt = 0; attempt < 10; attempt++) {
    result = bredOnce(island, space, rates, random);
    if (!known.has(keyOf(result.genome))) break;
  }
  return result!;
}

function bredOnce(island: Island, space: Space, rates: Rates, random: Random): Bred {
  if (island.members.length === 0 || random.next() < immigrants) {
    return { genome: mutated(random.pick(defaultGenomes(space)), space, 0.5, random), parents: [] };
  }
  const first = island.parent(random);
  const mates = island.members.filter((member) => member !== first && member.genome.learner === first.genome.learner);
  if (mates.length === 0 || random.next() >= rates.crossover) {
    return { genome: mutated(first.genome, space, rates.mutation, random), parents: [first.index] };
  }
  const second = random.pick(mates);
  const child = crossed(first.genome, second.genome, space, random);
  return { genome: mutated(child, space, rates.mutation, random), parents: [first.index, second.index] };
}

function survivorsOrder(members: readonly Individual[]): number[] {
  return frontsOf(members).flatMap((front) => {
    const room = crowding(members, front);
    return front.toSorted((i, j) => room.get(j)! - room.get(i)! || i - j);
  });
}
