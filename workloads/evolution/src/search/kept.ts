// Pipelines of which predictions and fitted models are kept, for only the best can join the ensemble. How many follows from their sizes, and so from the
// data: the same on every machine.
import type { Individual } from './population.ts';

const most = 60;
const fewest = 6;
/** Bytes of all of them, unless the fewest take more. */
const room = 512 * 2 ** 20;

export class Kept {
  /** The best first. */
  #whole: Individual[] = [];

  /** Those without room lose what they hold. */
  add(individual: Individual): void {
    this.#whole = [...this.#whole, individual].sort((a, b) => b.score - a.score || a.index - b.index);
    for (const each of this.#whole.splice(countFor(this.#whole.map((one) => bytesOf(one) + modelBytesOf(one))))) {
      each.predictions = [];
      each.models = [];
    }
  }
}

/**
 * Most bytes that a search holds at once of pipelines of one size.
 * @param bytes Of the predictions and fitted models of one
 * @param flying Pipelines under way, each of which may be ready before its turn
 */
export function mostHeld(bytes: number, flying: number): number {
  return bytes * (countFor(new Array<number>(most).fill(bytes)) + flying);
}

function countFor(sizes: readonly number[]): number {
  let sum = 0;
  const tooMany = sizes.findIndex((size, i) => i >= most || ((sum += size) > room && i >= fewest));
  return tooMany === -1 ? sizes.length : tooMany;
}

function bytesOf({ predictions }: Individual): number {
  return predictions.reduce((sum, each) => sum + each.byteLength, 0);
}

/** Of its fitted models, packed. */
export function modelBytesOf({ models }: Pick<Individual, 'models'>): number {
  return models.reduce((sum, each) => sum + (each?.byteLength ?? 0), 0);
}
