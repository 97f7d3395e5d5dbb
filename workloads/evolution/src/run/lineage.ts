// The ancestors of the best pipeline as a graph: oldest on the left, an arrow from each parent to its child.
import { describe } from '../search/genome.ts';
import type { Individual } from '../search/population.ts';

/** More would be a thicket. */
const mostShown = 48;
const box = { width: 142, height: 34, across: 184, down: 46 };

/**
 * @param figure how a score is written
 * @param escape text as HTML
 */
export function lineageGraph(
  best: Individual,
  all: readonly Individual[],
  figure: (score: number) => string,
  escape: (text: string) => string,
): string {
  const shown = ancestors(best, new Map(all.map((each) => [each.index, each])));
  const layers = layersOf(shown);
  const depth = layers.length;
  const place = new Map(
    layers.flatMap((layer, i) =>
      layer.map((each, j) => [each.index, { x: 8 + (depth - 1 - i) * box.across, y: 8 + j * box.down }] as const),
    ),
  );
  const width = 16 + (depth - 1) * box.across + box.width;
  const height = 16 + (Math.max(...layers.map((layer) => layer.length)) - 1) * box.down + box.height;
  const edges = shown.flatMap((child) =>
    child.parents.flatMap((index) => {
      const from = place.get(index);
      const to = place.get(child.index)!;
      if (!from) return [];
      const [x1, y1, x2, y2] = [from.x + box.width, from.y + box.height / 2, to.x, to.y + box.height / 2];
      const middle = (x1 + x2) / 2;
      return [`<path d="M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}"/>`];
    }),
  );
  const nodes = shown.map((each) => {
    const { x, y } = place.get(each.index)!;
    const title = `generation ${each.generation}, island ${each.island}: ${describe(each.genome)}`;
    return `<g transform="translate(${x} ${y})"><title>${escape(title)}</title><rect width="${box.width}" height="${box.height}" rx="4" fill="none" stroke="currentColor"${each === best ? ' stroke-width="2.5"' : ''}/><text x="6" y="14">${each.index} · ${escape(each.genome.learner)}</text><text x="6" y="28">${escape(figure(each.score))}</text></g>`;
  });
  return `<div class="wide"><svg class="lineage" role="img" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-size="10" fill="currentColor"><g fill="none" stroke="#38c">${edges.join('')}</g>${nodes.join('')}</svg></div>`;
}

/** Nearest first, each once. */
function ancestors(best: Individual, byIndex: ReadonlyMap<number, Individual>): Individual[] {
  const found = new Set([best]);
  for (const each of found)
    for (const parent of each.parents) {
      const known = byIndex.get(parent);
      if (known && found.size < mostShown) found.add(known);
    }
  return [...found];
}

/** By the longest way to the best, which stands alone in the first layer: an arrow never goes back. */
function layersOf(shown: readonly Individual[]): Individual[][] {
  const depth = new Map<number, number>();
  // A parent is always older than its child.
  for (const each of shown.toSorted((a, b) => b.index - a.index)) {
    const own = depth.get(each.index) ?? 0;
    depth.set(each.index, own);
    for (const parent of each.parents) depth.set(parent, Math.max(depth.get(parent) ?? 0, own + 1));
  }
  const layers: Individual[][] = [];
  for (const each of shown) (layers[depth.get(each.index)!] ??= []).push(each);
  return layers.map((layer) => layer.toSorted((a, b) => b.score - a.score));
}
