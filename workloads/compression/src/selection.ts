// Which units to keep under a token budget: lazy greedy choice by gain per token, then repairs until the rate fits.
//
// The gain may depend on what is kept already (submodular: covering a term twice is worth less), which makes lazy greedy
// within a constant of the best (Nemhauser 1978; with costs, Lin and Bilmes 2011).
import type { Document } from './document.ts';
import { PriorityQueue } from './priorityQueue.ts';
import { markerCost, type Rendered, render } from './render.ts';

export interface Budget {
  /** Most tokens the output may have. */
  readonly most: number;
  /** Fewest tokens that still count as the requested rate. */
  readonly least: number;
  /** Tokens beyond `most` are allowed up to here when nothing fits below (a ratio is a wish, a token target a limit). */
  readonly limit: number;
  /** Nothing at all is kept rather than a part larger than the limit (a token target). */
  readonly strict?: boolean;
}

/** What a strategy thinks of units; larger is better, and 0 or less is chosen only to fill the budget. */
export interface Preference {
  /** Gain of adding a unit to what is kept now. */
  gain(unit: number): number;
  /** Told of each unit kept … */
  kept?(unit: number): void;
  /** … and of each that was taken back. */
  dropped?(unit: number): void;
  /** Gain is divided by cost to this power: 1 prefers many short units, 0 ignores length. */
  readonly thrift: number;
}

export class Selection {
  readonly document: Document;
  readonly kept: Uint8Array;
  /** Tokens of the kept units and the markers, before seams are counted exactly. */
  used: number;
  readonly #marker: number;
  readonly #preference: Preference;
  /** Groups in the order they were added; a group is a unit with what it is bound to. */
  readonly #groups: number[][] = [];
  /** Groups that are never taken back. */
  #pinned = 0;

  constructor(document: Document, preference: Preference) {
    this.document = document;
    this.#preference = preference;
    this.kept = new Uint8Array(document.units.length);
    this.#marker = markerCost(document);
    this.used = document.units.length > 0 ? this.#marker : 0;
  }

  /** The unit and everything that must be kept with it: brackets around it, and their closing ones. */
  closure(unit: number): number[] {
    const { units } = this.document;
    const group: number[] = [];
    // A unit, its brackets and those above are all different, so nothing can be taken twice.
    const take = (index: number): void => {
      if (!this.kept[index]) group.push(index);
    };
    take(unit);
    for (let at = unit; ; ) {
      const { bound, parent, closer } = units[at] as (typeof units)[number];
      if (closer !== undefined) take(closer);
      if (!bound || parent < 0 || this.kept[parent]) break;
      take(parent);
      at = parent;
    }
    return group;
  }

  /** Tokens the output grows by when the group is kept; negative when that saves markers. */
  price(group: readonly number[]): number {
    let price = 0;
    for (const unit of group) {
      price += (this.document.cost[unit] as number) + this.#markersAround(unit);
      this.kept[unit] = 1;
    }
    for (const unit of group) this.kept[unit] = 0;
    return price;
  }

  add(unit: number): void {
    const group = this.closure(unit);
    if (group.length === 0) return;
    for (const each of group) {
      this.used += (this.document.cost[each] as number) + this.#markersAround(each);
      this.kept[each] = 1;
      this.#preference.kept?.(each);
    }
    this.#groups.push(group);
  }

  /** Takes back the last group added, and says which unit it was for. */
  removeLast(): number | undefined {
    if (this.removable === 0) return undefined;
    const group = this.#groups.pop() as number[];
    for (let i = group.length - 1; i >= 0; i--) {
      const unit = group[i] as number;
      this.kept[unit] = 0;
      this.used -= (this.document.cost[unit] as number) + this.#markersAround(unit);
      this.#preference.dropped?.(unit);
    }
    return group[0];
  }

  /** What is kept now stays. */
  pin(): void {
    this.#pinned = this.#groups.length;
  }

  get removable(): number {
    return this.#groups.length - this.#pinned;
  }

  /** Elided stretches that cost no more than their marker are kept after all. */
  closeGaps(): void {
    const { cost, units } = this.document;
    for (let at = 0; at < units.length; ) {
      if (this.kept[at]) {
        at++;
        continue;
      }
      const first = at;
      let tokens = 0;
      while (at < units.length && !this.kept[at]) tokens += cost[at++] as number;
      if (tokens > this.#marker) continue;
      for (let i = first; i < at; i++) this.kept[i] = 1;
      this.used += tokens - this.#marker;
    }
  }

  render(): Rendered {
    return render(this.document, this.kept);
  }

  #markersAround(unit: number): number {
    const left = unit === 0 || this.kept[unit - 1] === 1;
    const right = unit === this.kept.length - 1 || this.kept[unit + 1] === 1;
    return left && right ? -this.#marker : left || right ? 0 : this.#marker;
  }
}

/** Chooses units by `preference` until the exact count of the output lies in the budget, as near as the units allow. */
export function choose(
  document: Document,
  budget: Budget,
  preference: Preference,
  forced: readonly number[] = [],
): Rendered {
  const selection = new Selection(document, preference);
  for (const unit of forced) if (!selection.kept[unit]) selection.add(unit);
  selection.pin();
  // Tokens merge over seams, so the exact count differs a little from the sum: the difference corrects the aim.
  let seam = 0;
  let best: { rendered: Rendered; tokens: number } | undefined;
  let before = -1;
  for (let round = 0; round < 6; round++) {
    fill(selection, shifted(budget, seam), preference, round === 0);
    if (selection.used === before) break;
    before = selection.used;
    const rendered = selection.render();
    const whole = rendered.spans.length === 1 && rendered.spans[0]?.kept;
    const tokens = whole ? document.map.total : document.tokenizer.count(rendered.text);
    if (!best || isBetter(tokens, best.tokens, budget)) best = { rendered, tokens };
    if (tokens >= budget.least && tokens <= budget.most) break;
    seam = tokens - selection.used;
    while (selection.used > budget.most - seam && selection.removable > 0) selection.removeLast();
  }
  return (best as { rendered: Rendered }).rendered;
}

function shifted({ most, least, limit, strict }: Budget, seam: number): Budget {
  return { most: most - seam, least: least - seam, limit: limit - seam, ...(strict && { strict }) };
}

/** Fits beats does not fit; then nearer to the aim from below, then least above. */
function isBetter(tokens: number, than: number, budget: Budget): boolean {
  const loss = (count: number): number =>
    count <= budget.most ? budget.most - count : (count - budget.most) * (count <= budget.limit ? 2 : 1000);
  return loss(tokens) < loss(than);
}

function fill(selection: Selection, budget: Budget, preference: Preference, first: boolean): void {
  if (first) greedy(selection, budget, preference);
  if (selection.used < budget.least) complete(selection, budget, preference);
  if (!budget.strict && !selection.kept.includes(1)) keepSmallest(selection);
  selection.closeGaps();
}

function greedy(selection: Selection, budget: Budget, preference: Preference): void {
  const { document } = selection;
  const heap = new PriorityQueue();
  const priority = (unit: number, group: readonly number[], price: number): number => {
    let gain = preference.gain(unit);
    for (const other of group)
      if (other !== unit && document.units[other]?.kind !== 'close') gain += preference.gain(other) * 0.5;
    return gain / Math.max(price, 1) ** preference.thrift;
  };
  const smallest = (): number => budget.most - selection.used;
  for (let unit = 0; unit < document.units.length; unit++) {
    if (selection.kept[unit] || document.units[unit]?.kind === 'close') continue;
    const group = selection.closure(unit);
    const price = selection.price(group);
    if (price <= smallest()) heap.push(unit, priority(unit, group, price));
  }
  for (let entry = heap.pop(); entry; entry = heap.pop()) {
    const { unit } = entry;
    if (selection.kept[unit]) continue;
    const group = selection.closure(unit);
    const price = selection.price(group);
    if (selection.used + price > budget.most) continue;
    const now = priority(unit, group, price);
    // Lazy: the entry is stale when the gain has shrunk below the next best; it goes back with its present value.
    if (now < heap.best() - 1e-12 && now < entry.priority - 1e-12) {
      heap.push(unit, now);
      continue;
    }
    selection.add(unit);
    if (selection.used >= budget.most - 1) break;
  }
}

/** Units that each compare with every other: more would be a quadratic step. */
const swapCandidates = 400;

/** Nothing more fits and the output is still too short: add the piece that lands in the window, or exchange one for another. */
function complete(selection: Selection, budget: Budget, preference: Preference): void {
  const { document } = selection;
  const candidates = (): { unit: number }[] => {
    const open: { unit: number; worth: number }[] = [];
    for (let unit = 0; unit < document.units.length; unit++) {
      if (selection.kept[unit] || document.units[unit]?.kind === 'close') continue;
      const price = selection.price(selection.closure(unit));
      if (price > budget.limit) continue;
      open.push({ unit, worth: preference.gain(unit) / Math.max(price, 1) ** preference.thrift });
    }
    return open.sort((a, b) => b.worth - a.worth || a.unit - b.unit);
  };
  const open = candidates();
  if (addOne(selection, budget.least, budget.most, open)) return;
  // Largest first until the window is met: small pieces leave a gap no piece fills.
  for (let back = 0; back < 6; back++) {
    const removed = selection.removeLast();
    if (removed === undefined) break;
    // What was taken back is worth its full gain again, so the order is another one now.
    const within = candidates().slice(0, swapCandidates);
    if (addOne(selection, budget.least, budget.most, within) || addTwo(selection, budget, within)) return;
  }
  greedy(selection, budget, preference);
  if (selection.used < budget.least) addOne(selection, budget.least, budget.limit, open);
}

/** Where every unit is larger than the budget, the smallest is still better than an empty answer. */
function keepSmallest(selection: Selection): void {
  const { cost, units } = selection.document;
  let smallest = -1;
  for (let unit = 0; unit < units.length; unit++) {
    if (units[unit]?.kind === 'close' || cost[unit] === 0) continue;
    if (smallest < 0 || (cost[unit] as number) < (cost[smallest] as number)) smallest = unit;
  }
  if (smallest >= 0) selection.add(smallest);
}

function addOne(selection: Selection, least: number, most: number, open: readonly { unit: number }[]): boolean {
  for (const { unit } of open) {
    if (selection.kept[unit]) continue;
    const sum = selection.used + selection.price(selection.closure(unit));
    if (sum < least || sum > most) continue;
    selection.add(unit);
    return true;
  }
  return false;
}

function addTwo(selection: Selection, budget: Budget, open: readonly { unit: number }[]): boolean {
  const tries = open.slice(0, 40);
  for (const { unit } of tries) {
    if (selection.kept[unit]) continue;
    if (selection.used + selection.price(selection.closure(unit)) > budget.most) continue;
    selection.add(unit);
    if (addOne(selection, budget.least, budget.most, open)) return true;
    selection.removeLast();
  }
  return false;
}
