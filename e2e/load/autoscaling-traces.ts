// Loads over time, in requests a second: made from seeds, so that every run sees the same.

export interface Trace {
  name: string;
  size: string;
  seconds: number;
  load: (second: number) => number;
  /** Metrics are away. */
  outage?: (second: number) => boolean;
}

const hour = 3600;
const day = 24 * hour;

export function traces(quick: boolean): Trace[] {
  const days = quick ? 3 : 4;
  const noise = noiseOf(11);
  const peak = (t: number) => 120 + 100 * Math.sin((2 * Math.PI * (t - 6 * hour)) / day);
  return [
    { name: 'step', size: '40 → 160 rps', seconds: hour, load: (t) => (t < 900 ? 40 : 160) },
    { name: 'ramp', size: '20 → 220 rps in 1 h', seconds: 2 * hour, load: (t) => 20 + Math.min(200, t / 18) },
    { name: 'diurnal', size: `${days} days`, seconds: days * day, load: (t) => peak(t) * (1 + 0.05 * noise(t)) },
    {
      name: 'daily spikes',
      size: `${days} days`,
      seconds: days * day,
      load: (t) => 60 + (t % (2 * hour) < 600 ? 140 : 0) + 3 * noise(t),
    },
    { name: 'bursts at random', size: '6 h', seconds: 6 * hour, load: burstsOf(23, 6 * hour) },
    { name: 'noise', size: '4 h', seconds: 4 * hour, load: (t) => Math.max(0, 100 * (1 + 0.3 * noise(t))) },
    {
      name: 'outage of metrics',
      size: '20 min of 2 h',
      seconds: 2 * hour,
      load: () => 120,
      outage: (t) => t >= hour && t < hour + 1200,
    },
  ];
}

/** Smooth noise of unit variance, changing every 20 s. */
function noiseOf(seed: number): (second: number) => number {
  return (t) => {
    const bin = Math.floor(t / 20);
    const part = (t % 20) / 20;
    return 1.7 * ((1 - part) * (2 * random(seed, bin) - 1) + part * (2 * random(seed, bin + 1) - 1));
  };
}

function burstsOf(seed: number, seconds: number): (second: number) => number {
  const bursts = Array.from({ length: 10 }, (_, i) => ({
    at: random(seed, 2 * i) * seconds,
    high: 60 + 120 * random(seed, 2 * i + 1),
  }));
  return (t) => 50 + bursts.reduce((sum, { at, high }) => sum + (t >= at && t < at + 420 ? high : 0), 0);
}

/** In 0…1, from a seed and an index (splitmix32). */
function random(seed: number, index: number): number {
  let x = (Math.imul(seed, 0x9e3779b9) + Math.imul(index, 0x85ebca6b)) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
}
