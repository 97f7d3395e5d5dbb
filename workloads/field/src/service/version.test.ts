import { describe, expect, it } from 'vitest';
import { smallProblem } from '../job/testing.ts';
import { versionOf } from './queries.ts';

describe('what the service keeps', () => {
  it('is of the tables that the resource names, not of their names alone', () => {
    const scene = smallProblem();
    const { elements } = scene.emitters;
    const moved = elements.positions.map((each, i) => (i === 0 ? each + 1e-4 : each));
    const other = { ...scene, emitters: { ...scene.emitters, elements: { ...elements, positions: moved } } };
    expect(versionOf('{}', smallProblem())).toBe(versionOf('{}', scene));
    expect(versionOf('{}', other)).not.toBe(versionOf('{}', scene));
    const quieter = new Float64Array(elements.count).fill(0.5);
    const response = { amplitudes: quieter, phases: new Float64Array(elements.count) };
    const measured = { ...scene, emitters: { ...scene.emitters, response } };
    expect(versionOf('{}', measured)).not.toBe(versionOf('{}', scene));
  });
});
