import { type EvolutionRunSpec, evolutionRun, parseStored } from '@quintet/crds';
import { expect, it } from 'vitest';
import { problemOf } from '../data/problem.ts';
import { readTableText } from '../data/table.ts';
import { timeWarnings } from './times.ts';

const specOf = (validation: object): EvolutionRunSpec =>
  parseStored(evolutionRun, {
    apiVersion: 'quintet.dev/v1alpha1',
    kind: 'EvolutionRun',
    metadata: { name: 'run', namespace: 'test', uid: 'u' },
    spec: {
      dataset: { source: { configMap: { name: 'x', key: 'y' } }, target: 'z', task: 'Regression' },
      validation,
    },
  }).spec;

async function warned(row: (day: string) => string, validation: object = {}): Promise<string[]> {
  const rows = Array.from({ length: 28 }, (_, i) => `${row(`2026-02-${String(i + 1).padStart(2, '0')}`)},${i % 5}\n`);
  const table = await readTableText(`a,b,z\n${rows.join('')}`, { exact: ['z'] });
  return timeWarnings(problemOf(table, { target: 'z', task: 'Regression' }).problem, specOf(validation));
}

it('a table with one time that is parted by chance says how it is parted by time', async () => {
  expect(await warned((day) => `${day},${day.slice(8)}`)).toEqual([
    'rows have a time, a, and are parted by chance: where earlier ones are to predict later ones, set validation.split: Time and validation.timeColumn: a',
  ]);
});

it('one with several times, with gaps, or without any says nothing, nor one whose split somebody has chosen', async () => {
  expect(await warned((day) => `${day},${day}T06:00:00Z`)).toEqual([]);
  expect(await warned((day) => `${day.endsWith('3') ? '' : day},${day.slice(8)}`)).toEqual([]);
  expect(await warned((day) => `${day.slice(8)},${day.slice(9)}`)).toEqual([]);
  expect(await warned((day) => `${day},${day.slice(8)}`, { split: 'Random' })).toEqual([]);
});
