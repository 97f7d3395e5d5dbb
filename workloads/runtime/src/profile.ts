// Profiles on demand: a CPU profile (opens in any flame graph viewer) and a heap snapshot, one at a time.
import { Session } from 'node:inspector/promises';
import type { Readable } from 'node:stream';
import { getHeapSnapshot } from 'node:v8';
import { QuintetError } from './errors.ts';

let busy = false;

/** JSON of a `.cpuprofile` over `seconds` of this process' main thread. Throws `CONFLICT` while another profile is taken. */
export async function cpuProfile(seconds: number, signal?: AbortSignal): Promise<string> {
  return alone(async () => {
    const session = new Session();
    session.connect();
    try {
      await session.post('Profiler.enable');
      await session.post('Profiler.setSamplingInterval', { interval: 1000 });
      await session.post('Profiler.start');
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, seconds * 1000);
        signal?.addEventListener('abort', () => {
          clearTimeout(timer);
          resolve();
        });
      });
      const { profile } = await session.post('Profiler.stop');
      return JSON.stringify(profile);
    } finally {
      session.disconnect();
    }
  });
}

/** A `.heapsnapshot`. Taking it stops the process for about a second per GiB and needs as much memory again. */
export function heapSnapshot(): Readable {
  if (busy) throw new QuintetError('CONFLICT', { reason: 'another profile is being taken' });
  busy = true;
  try {
    const snapshot = getHeapSnapshot();
    snapshot.once('close', () => (busy = false));
    return snapshot;
  } catch (error) {
    busy = false;
    throw error;
  }
}

async function alone<T>(work: () => Promise<T>): Promise<T> {
  if (busy) throw new QuintetError('CONFLICT', { reason: 'another profile is being taken' });
  busy = true;
  try {
    return await work();
  } finally {
    busy = false;
  }
}
