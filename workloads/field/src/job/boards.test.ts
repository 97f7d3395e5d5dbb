import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { boardFiles } from './boards.ts';
import { plan } from './plan.ts';
import { resolve } from './problem.ts';
import { smallJob, smallProblem, temporaryFolder } from './testing.ts';

const table = { format: 'CSV', configMap: { name: 'board', key: 'table.csv' } };
const withMap = (text: string) =>
  resolve(
    smallJob({
      array: {
        grid: { rows: 2, columns: 2 },
        hardware: { channelMap: table, export: ['AcousTools', 'Levitate', 'JSON'] },
      },
    }),
    () => text,
  );

describe('export for boards', () => {
  it('puts each element on its channel and leaves the others silent', () => {
    const folder = temporaryFolder();
    plan(withMap('element,channel\n0,4\n1,2\n2,1\n3,0\n'), folder);
    const { phases } = JSON.parse(readFileSync(join(folder, 'solution.json'), 'utf8')) as { phases: number[] };
    const { states, transducers } = JSON.parse(readFileSync(join(folder, boardFiles.JSON), 'utf8')) as {
      transducers: number;
      states: { amplitudes: number[]; phases: number[] }[];
    };
    expect(transducers).toBe(5);
    expect(states[0]!.amplitudes).toEqual([1, 1, 1, 0, 1]);
    expect(states[0]!.phases).toEqual([phases[3], phases[2], phases[1], 0, phases[0]]);

    const [header, row, end] = readFileSync(join(folder, boardFiles.AcousTools), 'utf8').split('\n');
    expect(header).toBe('1,5');
    expect(end).toBe('');
    row!.split(',').forEach((text, channel) => {
      expect(Math.abs(Number(text))).toBeLessThanOrEqual(Math.PI);
      expect(Math.cos(Number(text))).toBeCloseTo(Math.cos(states[0]!.phases[channel]!), 12);
    });
    expect(readFileSync(join(folder, boardFiles.Levitate)).length).toBe(5 * 8);
  });

  it.each([
    ['element,channel\n0,0\n1,1\n2,2\n', 'element 3 has no channel'],
    ['element,channel\n0,0\n1,0\n2,2\n3,3\n', 'element 1 or channel 0 stands twice'],
    ['element,channel\n9,0\n', 'element must be 0 to 3, not 9'],
    ['element,channel\n0,-1\n', 'channel of element 0 must be 0 to 1048575'],
  ])('refuses a channel map that is not one: %j', (text, message) => {
    expect(() => withMap(text)).toThrow(message);
  });
});

describe('a solve that knows its dead elements', () => {
  it('restores the pressure of the target within 1 %', () => {
    const array = (deadElements: number[]) => ({ grid: { rows: 16, columns: 16 }, hardware: { deadElements } });
    const dead = Array.from({ length: 26 }, (_, i) => (i * 97) % 256);
    const targets = [{ name: 'tip', position: ['4mm', '-3mm', '60mm'], pressure: '2kPa' }];
    for (const elements of [[], dead]) {
      const folder = temporaryFolder();
      plan(smallProblem({ array: array(elements), targets }), folder);
      const solution = JSON.parse(readFileSync(join(folder, 'solution.json'), 'utf8')) as {
        targets: { pressure: number }[];
      };
      expect(Math.abs(solution.targets[0]!.pressure / 2000 - 1)).toBeLessThan(0.01);
    }
  });
});
