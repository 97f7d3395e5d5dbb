// Seeded random numbers. Every use has its own stream, named by what it is for, so that no result depends on who asked first.

export interface Random {
  /** Uniform in [0, 1). */
  next: () => number;
  /** Uniform integer in [0, below). */
  int: (below: number) => number;
  /** Standard normal (Marsaglia's polar method). */
  normal: () => number;
  shuffle: <T extends Int32Array | unknown[]>(values: T) => T;
  pick: <T>(values: readonly T[]) => T;
}

/** The stream of a name: equal parts give equal streams. sfc32 seeded by a 128-bit hash of the parts. */
export function randomOf(...parts: readonly (string | number)[]): Random {
  let [a, b, c, d] = hash128(parts.join('/'));
  const next = (): number => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 4_294_967_296;
  };
  for (let i = 0; i < 12; i++) next();
  let spare: number | undefined;
  const random: Random = {
    next,
    int: (below) => Math.floor(next() * below),
    normal: () => {
      if (spare !== undefined) {
        const value = spare;
        spare = undefined;
        return value;
      }
      for (;;) {
        const u = 2 * next() - 1;
        const v = 2 * next() - 1;
        const s = u * u + v * v;
        if (s === 0 || s >= 1) continue;
        const scale = Math.sqrt((-2 * Math.log(s)) / s);
        spare = v * scale;
        return u * scale;
      }
    },
    shuffle: (values) => {
      for (let i = values.length - 1; i > 0; i--) {
        const j = random.int(i + 1);
        const held = values[i]!;
        values[i] = values[j]!;
        values[j] = held;
      }
      return values;
    },
    pick: (values) => values[random.int(values.length)]!,
  };
  return random;
}

/** A positive 31-bit seed for libraries that take one. */
export function seedOf(...parts: readonly (string | number)[]): number {
  return hash128(parts.join('/'))[0] & 0x7fffffff;
}

/** cyrb128, by bryc (public domain). */
function hash128(text: string): [number, number, number, number] {
  let h1 = 1779033703;
  let h2 = 3144134277;
  let h3 = 1013904242;
  let h4 = 2773480762;
  for (let i = 0; i < text.length; i++) {
    const k = text.charCodeAt(i);
    h1 = h2 ^ Math.imul(h1 ^ k, 597399067);
    h2 = h3 ^ Math.imul(h2 ^ k, 2869860233);
    h3 = h4 ^ Math.imul(h3 ^ k, 951274213);
    h4 = h1 ^ Math.imul(h4 ^ k, 2716044179);
  }
  h1 = Math.imul(h3 ^ (h1 >>> 18), 597399067);
  h2 = Math.imul(h4 ^ (h2 >>> 22), 2869860233);
  h3 = Math.imul(h1 ^ (h3 >>> 17), 951274213);
  h4 = Math.imul(h2 ^ (h4 >>> 19), 2716044179);
  h1 ^= h2 ^ h3 ^ h4;
  return [h1 >>> 0, (h2 ^ h1) >>> 0, (h3 ^ h1) >>> 0, (h4 ^ h1) >>> 0];
}
