import { describe, expect, test } from 'vitest';
import { slicesAhead } from './ahead.ts';
import type { PlaneGrid } from './evaluate.ts';

const grid = (z: number): PlaneGrid => ({ axis: 2, center: [0, 0, z], columns: 10, rows: 10, spacing: 0.001 });

function watched() {
  const fetched: number[] = [];
  const ahead = slicesAhead({
    fetch: async (_tenant, { center }) => {
      fetched.push(center[2]);
    },
  });
  const walk = async (...places: number[]) => {
    for (const place of places) {
      ahead.observe('lab', grid(place), 'solution');
      await ahead.settled();
    }
    return fetched;
  };
  return { ahead, fetched, walk };
}

describe('the next likely slice', () => {
  test('is the one after two equal steps, in either direction', async () => {
    expect(await watched().walk(0.04, 0.041, 0.042, 0.043)).toEqual([0.043, 0.044]);
    expect(await watched().walk(0.04, 0.0395, 0.039)).toEqual([0.0385]);
  });

  test('is none after a jump, or of another solution or tenant', async () => {
    const { ahead, fetched, walk } = watched();
    await walk(0.04, 0.041, 0.05);
    ahead.observe('lab', grid(0.059), 'another');
    ahead.observe('shop', grid(0.068), 'solution');
    await ahead.settled();
    expect(fetched).toEqual([]);
  });

  test('is computed no more while guesses are seldom right', async () => {
    const { walk, fetched } = watched();
    let z = 0.1;
    const jumps: number[] = [];
    for (let i = 0; i < 12; i++) {
      jumps.push((z += 0.001), (z += 0.001), (z += 0.001), (z += 0.01 + 0.001 * i));
    }
    await walk(...jumps);
    const before = fetched.length;
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThan(24);
  });
});
