// Whether pairs of like corners agree on one way to lay an item over a query: a shift, a turn and a scale.
import { type Features, levelRatio } from './extract.ts';

/** A corner of the query and one of the item that look alike. */
export interface Pair {
  readonly query: number;
  readonly item: number;
  readonly distance: number;
}

export interface Alignment {
  /** Pairs that agree, no two of them nearer than a few pixels in either image. */
  readonly agreeing: number;
  /** Item to query: x' = scale·(cos·x − sin·y) + dx, y' = scale·(sin·x + cos·y) + dy, in working pixels. */
  readonly transform: Similarity;
  /** Share of the item's area that lies within the query, and of the query's that the item covers, 0..1. */
  readonly itemShown: number;
  readonly queryCovered: number;
}

export interface Similarity {
  readonly scale: number;
  readonly turn: number;
  readonly dx: number;
  readonly dy: number;
}

/** Fewer agreeing pairs than this are coincidence. */
const fewest = 4;
/** Pixels of the query by which a pair may miss, at the finest level; coarser corners are placed more coarsely. */
const tolerance = 4;
/** Corners nearer than this count once: scales of one corner are no independent witnesses. */
const apart = 8;
const smallestScale = 0.15;
const largestScale = 7;

/** The best alignment, or nothing when pairs do not agree. Every pair is tried as the hypothesis: all is determined. */
export function align(query: Features, item: Features, pairs: readonly Pair[]): Alignment | undefined {
  if (pairs.length < fewest) return undefined;
  let best: { transform: Similarity; inliers: Pair[] } | undefined;
  for (const hypothesis of pairs) {
    const transform = from(query, item, hypothesis);
    if (transform.scale < smallestScale || transform.scale > largestScale) continue;
    const inliers = agreeing(query, item, pairs, transform, 2.5);
    if (inliers.length > (best?.inliers.length ?? fewest - 1)) best = { transform, inliers };
  }
  if (!best) return undefined;
  for (let round = 0; round < 3; round++) {
    const fitted = fit(query, item, best.inliers);
    if (!fitted) return undefined;
    const inliers = agreeing(query, item, pairs, fitted, 1);
    if (inliers.length < fewest) return undefined;
    best = { transform: fitted, inliers };
  }
  return {
    agreeing: witnesses(query, item, best.inliers),
    transform: best.transform,
    ...overlap(query, item, best.transform),
  };
}

/** One pair says everything: where, from its places; how turned and scaled, from its directions and levels. */
function from(query: Features, item: Features, pair: Pair): Similarity {
  const scale = levelRatio ** ((query.level[pair.query] as number) - (item.level[pair.item] as number));
  const steps = (query.direction[pair.query] as number) - (item.direction[pair.item] as number);
  const turn = (steps / 256) * 2 * Math.PI;
  const [x, y] = [item.x[pair.item] as number, item.y[pair.item] as number];
  const [cos, sin] = [scale * Math.cos(turn), scale * Math.sin(turn)];
  return {
    scale,
    turn,
    dx: (query.x[pair.query] as number) - (cos * x - sin * y),
    dy: (query.y[pair.query] as number) - (sin * x + cos * y),
  };
}

function agreeing(
  query: Features,
  item: Features,
  pairs: readonly Pair[],
  { scale, turn, dx, dy }: Similarity,
  slack: number,
): Pair[] {
  const [cos, sin] = [scale * Math.cos(turn), scale * Math.sin(turn)];
  const steps = (turn / (2 * Math.PI)) * 256;
  const levels = Math.log(scale) / Math.log(levelRatio);
  return pairs.filter((pair) => {
    const [x, y] = [item.x[pair.item] as number, item.y[pair.item] as number];
    const level = query.level[pair.query] as number;
    const allowed = slack * tolerance * levelRatio ** (level / 2);
    const missX = cos * x - sin * y + dx - (query.x[pair.query] as number);
    const missY = sin * x + cos * y + dy - (query.y[pair.query] as number);
    if (missX * missX + missY * missY > allowed * allowed) return false;
    const turned = (query.direction[pair.query] as number) - (item.direction[pair.item] as number) - steps;
    const off = ((turned % 256) + 256 + 128) % 256;
    if (Math.abs(off - 128) > 24) return false;
    return Math.abs(level - (item.level[pair.item] as number) - levels) <= 1.6;
  });
}

/** Least squares over the pairs (Umeyama 1991 in the plane). */
function fit(query: Features, item: Features, pairs: readonly Pair[]): Similarity | undefined {
  const n = pairs.length;
  let [qx, qy, ix, iy] = [0, 0, 0, 0];
  for (const pair of pairs) {
    qx += (query.x[pair.query] as number) / n;
    qy += (query.y[pair.query] as number) / n;
    ix += (item.x[pair.item] as number) / n;
    iy += (item.y[pair.item] as number) / n;
  }
  let [along, across, spread] = [0, 0, 0];
  for (const pair of pairs) {
    const [ax, ay] = [(item.x[pair.item] as number) - ix, (item.y[pair.item] as number) - iy];
    const [bx, by] = [(query.x[pair.query] as number) - qx, (query.y[pair.query] as number) - qy];
    along += ax * bx + ay * by;
    across += ax * by - ay * bx;
    spread += ax * ax + ay * ay;
  }
  if (spread < 1) return undefined;
  const scale = Math.hypot(along, across) / spread;
  if (scale < smallestScale || scale > largestScale) return undefined;
  const turn = Math.atan2(across, along);
  const [cos, sin] = [scale * Math.cos(turn), scale * Math.sin(turn)];
  return { scale, turn, dx: qx - (cos * ix - sin * iy), dy: qy - (sin * ix + cos * iy) };
}

/** Pairs with a place of their own in both images, nearest descriptors first. */
function witnesses(query: Features, item: Features, pairs: readonly Pair[]): number {
  const kept: Pair[] = [];
  const near = (features: Features, a: number, b: number) =>
    Math.abs((features.x[a] as number) - (features.x[b] as number)) < apart &&
    Math.abs((features.y[a] as number) - (features.y[b] as number)) < apart;
  for (const pair of [...pairs].sort((a, b) => a.distance - b.distance)) {
    if (kept.some((other) => near(query, other.query, pair.query) || near(item, other.item, pair.item))) continue;
    kept.push(pair);
  }
  return kept.length;
}

/** Counted on a grid of the item, laid over the query. */
function overlap(query: Features, item: Features, { scale, turn, dx, dy }: Similarity) {
  const [cos, sin] = [scale * Math.cos(turn), scale * Math.sin(turn)];
  const cells = 16;
  let inside = 0;
  for (let i = 0; i < cells; i++) {
    for (let j = 0; j < cells; j++) {
      const x = ((j + 0.5) / cells) * item.width;
      const y = ((i + 0.5) / cells) * item.height;
      const [tx, ty] = [cos * x - sin * y + dx, sin * x + cos * y + dy];
      if (tx >= 0 && ty >= 0 && tx < query.width && ty < query.height) inside++;
    }
  }
  const itemShown = inside / (cells * cells);
  const area = itemShown * item.width * item.height * scale * scale;
  return { itemShown, queryCovered: Math.min(1, area / (query.width * query.height)) };
}
