// The simulation in time beside k-Wave's NumPy backend on the same grid, and beside the analytic wave of a point source.
import { median, type Row, row } from '@quintet/runtime/bench';
import { record } from '../src/timedomain/record.ts';
import { Simulation } from '../src/timedomain/simulation.ts';
import { spreadSource } from '../src/timedomain/source.ts';
import type { Peer } from './python.ts';

const step = 1e-3;
const timeStep = 2e-7;
const layer = 8;
const ball = [3, 2, 1] as const;
const hill = [-4, 0, 0] as const;

export async function timeDomain(quick: boolean, peer: Peer | undefined): Promise<Row[]> {
  return [...(await besideKWave(quick, peer)), await besideAnalytic(quick)];
}

interface KWaveAnswer {
  seconds: number;
  cpuSeconds: number;
  pressure: number[];
}

async function besideKWave(quick: boolean, peer: Peer | undefined): Promise<Row[]> {
  const n = quick ? 32 : 64;
  const steps = quick ? 20 : 60;
  const size = 12;
  const ours: number[] = [];
  const theirs: number[] = [];
  let pressure: Float64Array = new Float64Array(0);
  let answer: KWaveAnswer | undefined;
  for (let run = 0; run < (quick ? 1 : 3); run++) {
    const simulation = ballOf(n, size);
    // The first steps are slower: the code is not yet compiled for speed.
    for (let i = 0; i < 5; i++) simulation.advance();
    simulation.start(hillOf(n, size));
    const busy = process.cpuUsage();
    for (let i = 0; i < steps; i++) simulation.advance();
    const { user, system } = process.cpuUsage(busy);
    ours.push((n ** 3 * steps) / ((user + system) / 1e6));
    pressure = simulation.pressure;
    answer = await peer
      ?.ask<KWaveAnswer>({ ask: 'kwave_ball', n, step, timeStep, steps, layer, size, ball, hill })
      .catch((error: unknown) => {
        console.error(`without k-Wave: ${(error as Error).message}`);
        return undefined;
      });
    if (answer) theirs.push((n ** 3 * (steps + 1)) / answer.cpuSeconds);
  }
  const base = { bench: 'field', case: 'simulation in time', size: `N=${n}³ ${steps} steps` } as const;
  const peers = theirs.length > 0 ? { 'k-Wave NumPy': median(theirs) } : {};
  const rows = [
    row({
      ...base,
      better: 'higher',
      metric: 'points and steps per CPU second',
      unit: '1/s',
      ours: median(ours),
      peers,
    }),
  ];
  if (answer) {
    const metric = 'difference from k-Wave';
    const off = difference(pressure, answer.pressure, n);
    rows.push(row({ ...base, better: 'lower', metric, unit: 'of largest', ours: off, peers: {} }, { absolute: 1e-3 }));
  }
  return rows;
}

/** Around the middle of a cube of `n` points along an axis. */
function ofEach(n: number, offset: readonly number[], value: (square: number) => number): Float64Array {
  return Float64Array.from({ length: n ** 3 }, (_, i) => {
    const place = [Math.floor(i / n / n), Math.floor(i / n) % n, i % n];
    return value(place.reduce((sum, each, axis) => sum + (each - n / 2 - offset[axis]!) ** 2, 0));
  });
}

function ballOf(n: number, size: number): Simulation {
  const simulation = new Simulation({
    shape: [n, n, n],
    step,
    timeStep,
    soundSpeed: ofEach(n, ball, (square) => (square < size ? 1500 : 900)),
    density: ofEach(n, ball, (square) => (square < size ? 1000 : 400)),
    layers: [layer, layer, layer],
  });
  simulation.start(hillOf(n, size));
  return simulation;
}

const hillOf = (n: number, size: number): Float64Array => ofEach(n, hill, (square) => Math.exp(-square / size));

/** Inside of the layers, which is all that k-Wave gives. */
function difference(pressure: Float64Array, theirs: readonly number[], n: number): number {
  const inner = n - 2 * layer;
  let worst = 0;
  let most = 0;
  theirs.forEach((each, i) => {
    const [z, y, x] = [Math.floor(i / inner / inner), Math.floor(i / inner) % inner, i % inner];
    const own = pressure[((z + layer) * n + y + layer) * n + x + layer]!;
    worst = Math.max(worst, Math.abs(own - each));
    most = Math.max(most, Math.abs(each));
  });
  return worst / most;
}

/** A point source that sounds on in the open: amplitude and phase of all points from four points off on. */
async function besideAnalytic(quick: boolean): Promise<Row> {
  const n = quick ? 32 : 64;
  const layers = quick ? 8 : 12;
  const air = { soundSpeed: 343, density: 1.2 };
  const frequency = air.soundSpeed / (5 * step);
  const perPeriod = 16;
  const simulation = new Simulation({
    ...air,
    shape: [n, n, n],
    step,
    timeStep: 1 / (perPeriod * frequency),
    layers: [layers, layers, layers],
  });
  const omega = 2 * Math.PI * frequency;
  const k = omega / air.soundSpeed;
  const source = [n / 2 - 0.2, n / 2 + 0.3, n / 2] as const;
  const mass = 1e-6;
  const { points, weights } = spreadSource(simulation.settings, source, k);
  const masses = { re: weights.map((weight) => mass * weight), im: weights.map(() => 0) };
  const periods = Math.ceil((n * Math.sqrt(3)) / 5 / 2) + 6;
  const { pressure } = await record(simulation, { points, masses, frequency }, { steps: periods * perPeriod });
  let worst = 0;
  let most = 0;
  for (let i = 0; i < n ** 3; i++) {
    const place = [Math.floor(i / n / n), Math.floor(i / n) % n, i % n];
    const r = step * Math.hypot(...place.map((each, axis) => each - source[axis]!));
    if (r < 4 * step || place.some((each) => each < layers + 1 || each >= n - layers - 1)) continue;
    const size = (omega * mass) / (4 * Math.PI * r);
    worst = Math.max(
      worst,
      Math.hypot(pressure.re[i]! - size * Math.sin(k * r), pressure.im[i]! + size * Math.cos(k * r)),
    );
    most = Math.max(most, size);
  }
  return row(
    {
      bench: 'field',
      case: 'simulation in time, point source',
      size: `N=${n}³ 5 points a wavelength`,
      better: 'lower',
      metric: 'error against the analytic wave',
      unit: 'of largest',
      ours: worst / most,
      peers: {},
    },
    { absolute: 0.01 },
  );
}
