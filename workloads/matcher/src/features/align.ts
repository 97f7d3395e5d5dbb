// Whether pairs of like corners agree on one way to lay an item over a query: a shift, a turn and a scale.
import { distance } from '../pdq/pdq.ts';
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
const mostHypotheses = 150;
/** Levels, and 256ths of a turn, by which a corner's own scale and direction may miss. */
const levelsOff = 1.6;
const stepsOff = 24;
const allowedAt = Float32Array.from({ length: 16 }, (_, level) => tolerance * levelRatio ** (level / 2));
const smallestScale = 0.15;
const largestScale = 7;
/** Bits of 256 by which corners may differ that lie where they should: chance puts few there. */
const guidedRadius = 64;

/** The best alignment, or nothing when pairs do not agree. Pairs come nearest first; the first are the hypotheses. */
export function align(query: Features, item: Features, pairs: readonly Pair[]): Alignment | undefined {
  if (pairs.length < fewest) return undefined;
  const columns = columnsOf(query, item, pairs);
  let best: { transform: Similarity; inliers: number[] } | undefined;
  for (let i = 0; i < Math.min(pairs.length, mostHypotheses); i++) {
    const transform = from(columns, i);
    if (transform.scale < smallestScale || transform.scale > largestScale) continue;
    const inliers = inliersOf(columns, transform, 2.5);
    if (inliers.length > (best?.inliers.length ?? fewest - 1)) best = { transform, inliers };
  }
  if (!best) return undefined;
  for (let round = 0; round < 3; round++) {
    const fitted = fit(columns, best.inliers);
    if (!fitted) return undefined;
    const inliers = inliersOf(columns, fitted, 1);
    if (inliers.length < fewest) return undefined;
    best = { transform: fitted, inliers };
  }
  return {
    agreeing: witnesses(columns, best.inliers),
    transform: best.transform,
    ...overlap(query, item, best.transform),
  };
}

/**
 * The same alignment with all corners for it that lie where it says, also those that looks alone did not bring together: a small
 * crop shows few corners of its item, and tables meet half of them.
 */
export function complete(query: Features, item: Features, alignment: Alignment): Completed {
  const { pairs, expected } = guided(query, item, alignment.transform);
  const columns = columnsOf(query, item, pairs);
  const transform = fit(columns, inliersOf(columns, alignment.transform, 1));
  if (!transform) return { ...alignment, expected };
  const agreeing = witnesses(columns, inliersOf(columns, transform, 1));
  return { agreeing, expected, transform, ...overlap(query, item, transform) };
}

export interface Completed extends Alignment {
  /** Places of the item's corners within the query, were the alignment right. */
  expected: number;
}

/** Of each corner of the item that the query should show, the corner there that looks most like it. */
function guided(query: Features, item: Features, transform: Similarity): { pairs: Pair[]; expected: number } {
  const [cos, sin] = [transform.scale * Math.cos(transform.turn), transform.scale * Math.sin(transform.turn)];
  const [turned, scaled] = [stepsOf(transform), levelsOf(transform)];
  const pairs: Pair[] = [];
  const places: [number, number][] = [];
  for (let i = 0; i < item.count; i++) {
    const x = cos * (item.x[i] as number) - sin * (item.y[i] as number) + transform.dx;
    const y = sin * (item.x[i] as number) + cos * (item.y[i] as number) + transform.dy;
    if (x < 0 || y < 0 || x > query.width || y > query.height) continue;
    if (!places.some(([px, py]) => Math.abs(px - x) < apart && Math.abs(py - y) < apart)) places.push([x, y]);
    const looks = item.descriptors.subarray(32 * i, 32 * i + 32);
    let best: Pair | undefined;
    for (let q = 0; q < query.count; q++) {
      const level = query.level[q] as number;
      const allowed = 2 * (allowedAt[level] as number);
      if (Math.abs((query.x[q] as number) - x) > allowed || Math.abs((query.y[q] as number) - y) > allowed) continue;
      if (Math.abs(level - (item.level[i] as number) - scaled) > levelsOff) continue;
      if (stepsApart((query.direction[q] as number) - (item.direction[i] as number), turned) > stepsOff) continue;
      const off = distance(looks, query.descriptors.subarray(32 * q, 32 * q + 32));
      if (off <= (best?.distance ?? guidedRadius)) best = { query: q, item: i, distance: off };
    }
    if (best) pairs.push(best);
  }
  pairs.sort((a, b) => a.distance - b.distance || a.query - b.query || a.item - b.item);
  return { pairs, expected: places.length };
}

/** What is known of each pair, side by side. */
interface PairColumns {
  readonly count: number;
  readonly queryX: Float32Array;
  readonly queryY: Float32Array;
  readonly itemX: Float32Array;
  readonly itemY: Float32Array;
  readonly queryLevel: Float32Array;
  /** Levels and 256ths of a turn from item to query. */
  readonly levels: Float32Array;
  readonly steps: Float32Array;
}

function columnsOf(query: Features, item: Features, pairs: readonly Pair[]): PairColumns {
  const column = (value: (pair: Pair) => number | undefined) =>
    Float32Array.from(pairs, (pair) => value(pair) as number);
  return {
    count: pairs.length,
    queryX: column((pair) => query.x[pair.query]),
    queryY: column((pair) => query.y[pair.query]),
    itemX: column((pair) => item.x[pair.item]),
    itemY: column((pair) => item.y[pair.item]),
    queryLevel: column((pair) => query.level[pair.query]),
    levels: column((pair) => (query.level[pair.query] as number) - (item.level[pair.item] as number)),
    steps: column((pair) => (query.direction[pair.query] as number) - (item.direction[pair.item] as number)),
  };
}

/** One pair says everything: where, from its places; how turned and scaled, from its directions and levels. */
function from({ queryX, queryY, itemX, itemY, levels, steps }: PairColumns, i: number): Similarity {
  const scale = levelRatio ** (levels[i] as number);
  const turn = ((steps[i] as number) / 256) * 2 * Math.PI;
  const [x, y] = [itemX[i] as number, itemY[i] as number];
  const [cos, sin] = [scale * Math.cos(turn), scale * Math.sin(turn)];
  return {
    scale,
    turn,
    dx: (queryX[i] as number) - (cos * x - sin * y),
    dy: (queryY[i] as number) - (sin * x + cos * y),
  };
}

function inliersOf(columns: PairColumns, transform: Similarity, slack: number): number[] {
  const { count, queryX, queryY, itemX, itemY, queryLevel, levels, steps } = columns;
  const { scale, turn, dx, dy } = transform;
  const [cos, sin] = [scale * Math.cos(turn), scale * Math.sin(turn)];
  const [turned, scaled] = [stepsOf(transform), levelsOf(transform)];
  const inliers: number[] = [];
  for (let i = 0; i < count; i++) {
    if (Math.abs((levels[i] as number) - scaled) > levelsOff) continue;
    const [x, y] = [itemX[i] as number, itemY[i] as number];
    const missX = cos * x - sin * y + dx - (queryX[i] as number);
    const missY = sin * x + cos * y + dy - (queryY[i] as number);
    const allowed = slack * (allowedAt[queryLevel[i] as number] as number);
    if (missX * missX + missY * missY > allowed * allowed) continue;
    if (stepsApart(steps[i] as number, turned) <= stepsOff) inliers.push(i);
  }
  return inliers;
}

function stepsOf({ turn }: Similarity): number {
  return (turn / (2 * Math.PI)) * 256;
}

function levelsOf({ scale }: Similarity): number {
  return Math.log(scale) / Math.log(levelRatio);
}

/** 256ths of a turn between two directions, at most 128. */
function stepsApart(a: number, b: number): number {
  const off = (((a - b) % 256) + 256 + 128) % 256;
  return Math.abs(off - 128);
}

/** Least squares over the pairs (Umeyama 1991 in the plane). */
function fit({ queryX, queryY, itemX, itemY }: PairColumns, pairs: readonly number[]): Similarity | undefined {
  const mean = (column: Float32Array) => pairs.reduce((sum, i) => sum + (column[i] as number), 0) / pairs.length;
  const [qx, qy, ix, iy] = [mean(queryX), mean(queryY), mean(itemX), mean(itemY)];
  let [along, across, spread] = [0, 0, 0];
  for (const i of pairs) {
    const [ax, ay] = [(itemX[i] as number) - ix, (itemY[i] as number) - iy];
    const [bx, by] = [(queryX[i] as number) - qx, (queryY[i] as number) - qy];
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

/** Pairs with a place of their own in both images, those nearest in descriptors first. */
function witnesses({ queryX, queryY, itemX, itemY }: PairColumns, pairs: readonly number[]): number {
  const kept: number[] = [];
  const near = (xs: Float32Array, ys: Float32Array, a: number, b: number) =>
    Math.abs((xs[a] as number) - (xs[b] as number)) < apart && Math.abs((ys[a] as number) - (ys[b] as number)) < apart;
  for (const i of pairs) {
    if (!kept.some((other) => near(queryX, queryY, other, i) || near(itemX, itemY, other, i))) kept.push(i);
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
