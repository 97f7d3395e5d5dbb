// A thread that solves the same problem over and over for a while, and says how often it did.
import { parentPort, workerData } from 'node:worker_threads';
import { gsPat } from '../src/solver/iterations.ts';
import type { Goals } from '../src/solver/targets.ts';

const { goals, iterations, seconds } = workerData as { goals: Goals; iterations: number; seconds: number };
for (let warm = 0; warm < 50; warm++) gsPat(goals, iterations);
const start = performance.now();
const busy = process.threadCpuUsage();
let solves = 0;
while (performance.now() - start < 1000 * seconds) {
  gsPat(goals, iterations);
  solves++;
}
const { user, system } = process.threadCpuUsage(busy);
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
parentPort?.postMessage({ solves, seconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1e6 });
