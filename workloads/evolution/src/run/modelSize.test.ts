import { constants } from 'node:buffer';
import type { EvolutionRunSpec } from '@quintet/crds';
import { expect, it } from 'vitest';
import type { FeatureSpec } from '../data/features.ts';
import type { Ensemble } from '../search/ensemble.ts';
import { roomForPipelines, sizeWarnings } from './modelSize.ts';

const feature = (levels: string[]) => ({ name: 'site', levels }) as unknown as FeatureSpec;
const ensemble = (mebibytes: number, roomless = 0) =>
  ({
    members: [{ individual: { models: [{ byteLength: mebibytes * 2 ** 20 }] }, weight: 1 }],
    score: 1,
    roomless,
  }) as unknown as Ensemble;
const specOf = (promotion: object) => ({ promotion }) as unknown as EvolutionRunSpec;

it('pipelines in base64 fit into one text beside the levels of columns', () => {
  const room = roomForPipelines([feature(['"north"', 'south'])]);
  expect((4 / 3) * room + JSON.stringify(['"north"', 'south']).length).toBeLessThan(constants.MAX_STRING_LENGTH);
  // All frozen models together fit too.
  expect(room).toBeGreaterThan(260 * 2 ** 20);
  expect(roomForPipelines([feature(['x'.repeat(1000)])], 2 ** 20 + 3000)).toBe(Math.floor(0.75 * 997));
  expect(roomForPipelines([feature(['x'.repeat(1000)])], 2 ** 20)).toBe(0);
});

it('a model that the pods of predictions cannot hold is told, where there are any', () => {
  const serving = { resources: { limits: { memory: '2Gi' } } };
  expect(sizeWarnings(ensemble(100), 2 ** 30, specOf({ mode: 'Champion' }))).toEqual([
    expect.stringMatching(/take 100 MiB: pods of predictions need about 896 MiB .* and have 512Mi; raise/),
  ]);
  expect(sizeWarnings(ensemble(100), 2 ** 30, specOf({ mode: 'Champion', serving }))).toEqual([]);
  expect(sizeWarnings(ensemble(100), 2 ** 30, specOf({ mode: 'None' }))).toEqual([]);
  expect(sizeWarnings(undefined, 2 ** 30, specOf({ mode: 'Champion' }))).toEqual([]);
});

it('pipelines that had no room are told', () => {
  expect(sizeWarnings(ensemble(1, 2), 2 ** 28, specOf({ mode: 'None' }))).toEqual([
    '2 pipelines could not join the ensemble: with their fitted models it would take more than 256 MiB',
  ]);
});
