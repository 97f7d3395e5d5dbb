// The perfectly matched layer at the ends of an axis: waves that enter fade, and hardly any come back.

/** Nepers per point at the outer end, before the time step: what k-Wave takes, and reflects least with 10 to 20 points. */
const strength = 2;

/**
 * What is left of a wave's part along the axis in half a time step: 1 inside, falling with the fourth power of the depth.
 * (Tabei, Mast and Waag, J. Acoust. Soc. Am. 111 (2002) 53, on the absorbing layer.)
 * @param points of the layer at each end. @param rate speed times time step over step.
 * @param offset of the places from the points, in points.
 */
export function absorbingLayer(length: number, points: number, rate: number, offset: number): Float64Array {
  return Float64Array.from({ length }, (_, i) => {
    const place = i + offset;
    const depth = points === 0 ? 0 : Math.max(points - place, place - (length - 1 - points), 0) / points;
    return Math.exp((-strength * rate * depth ** 4) / 2);
  });
}
