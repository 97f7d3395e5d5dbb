// Area under the ROC curve, with weights; ties count half (Mann–Whitney).

/** `is` is 1 for positives, 0 otherwise. 0.5 when one side is empty. */
export function binaryAuc(is: ArrayLike<number>, scores: ArrayLike<number>, weights?: ArrayLike<number>): number {
  const n = is.length;
  const order = sortedOrder(scores, n);
  let below = 0;
  let area = 0;
  let positives = 0;
  let negatives = 0;
  for (let start = 0; start < n; ) {
    const score = scores[order[start]!];
    let p = 0;
    let q = 0;
    let end = start;
    for (; end < n && scores[order[end]!] === score; end++) {
      const i = order[end]!;
      const weight = weights ? weights[i]! : 1;
      if (is[i] === 1) p += weight;
      else q += weight;
    }
    area += p * (below + q / 2);
    below += q;
    positives += p;
    negatives += q;
    start = end;
  }
  return positives === 0 || negatives === 0 ? 0.5 : area / (positives * negatives);
}

/** Indices by rising value. Typed arrays sort numbers natively when the index is packed beside the value's rank bits. */
function sortedOrder(scores: ArrayLike<number>, n: number): Int32Array {
  const keys = new Float64Array(n);
  const single = new Float32Array(1);
  const bits = new Uint32Array(single.buffer);
  let exact = n < 1 << 21;
  for (let i = 0; i < n && exact; i++) {
    single[0] = scores[i]!;
    exact = single[0] === scores[i];
    const raw = bits[0]!;
    // Order-preserving integer of a float; -0 and 0 are one value.
    const rank = raw === 0x80000000 ? 0x80000000 : raw & 0x80000000 ? ~raw >>> 0 : (raw | 0x80000000) >>> 0;
    keys[i] = rank * 2 ** 21 + i;
  }
  if (exact) {
    keys.sort();
    return Int32Array.from(keys, (key) => key % 2 ** 21);
  }
  return Int32Array.from({ length: n }, (_, i) => i).sort((i, j) => scores[i]! - scores[j]!);
}
